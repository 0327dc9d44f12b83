"""A host whose API documentation is made by DRF's generators has it still, and drf-spectacular describes ours there."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import include, path
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response
from rest_framework.schemas import get_schema_view

from tests.integration.conftest import Caller
from tests.integration.customized import urls
from tests.integration.test_schema import SNAPSHOT
from waldur_chat.api.views.chat import ChatViewSet

ROOT = SNAPSHOT.parent.parent
OPENAPI = "rest_framework.schemas.openapi.AutoSchema"
COREAPI = "rest_framework.schemas.coreapi.AutoSchema"
HAS_COREAPI = bool(find_spec("coreapi") and find_spec("rest_framework.schemas.coreapi"))  # It is gone in DRF 3.17.
CLASSES = [OPENAPI, COREAPI] if HAS_COREAPI else [OPENAPI]

pytestmark = pytest.mark.filterwarnings("ignore:CoreAPI compatibility")


def manage(schema: str, *arguments: str) -> str:
    """What a command of the host prints; our views are imported under its schema class."""
    own = {"DJANGO_SETTINGS_MODULE": "tests.host.schema_settings", "WALDUR_HOST_SCHEMA": schema}
    command = [sys.executable, "-m", "django", *arguments]
    run = subprocess.run(command, cwd=ROOT, env={**os.environ, **own}, check=True, capture_output=True, text=True)
    return run.stdout


@pytest.mark.parametrize("schema", CLASSES)
def test_generateschema_lists_ours(schema: str) -> None:
    document = yaml.safe_load(manage(schema, "generateschema"))
    assert set(document["paths"]["/api/chat/stream/"]) == {"post"}
    described = yaml.safe_load(SNAPSHOT.read_text())["paths"]
    if schema == OPENAPI:  # The other one leaves out what has longer names.
        assert set(described) <= set(document["paths"])


@pytest.mark.parametrize("schema", CLASSES)
def test_spectacular_describes_ours_all_the_same(schema: str, tmp_path: Path) -> None:
    file = tmp_path / "openapi.yaml"
    manage(schema, "spectacular", "--urlconf", "waldur_chat.urls", "--validate", "--fail-on-warn", "--file", str(file))
    document, ours = (yaml.safe_load(text.read_text()) for text in (file, SNAPSHOT))
    assert {f"/api{where}": described for where, described in document["paths"].items()} == ours["paths"]
    assert document["components"] == ours["components"]


@pytest.mark.parametrize("schema", CLASSES)
@pytest.mark.parametrize("public", [True, False])
def test_the_page_of_the_host_answers(call: Caller, settings: Any, schema: str, public: bool) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": schema}
    options: dict[str, Any] = {}
    if schema == COREAPI:
        from rest_framework.schemas.coreapi import SchemaGenerator

        options["generator_class"] = SchemaGenerator
    ours = urls({}).urlpatterns
    docs = get_schema_view(title="The host", public=public, patterns=ours, **options)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [*ours, path("docs/", docs)]})
    reply = call.get("/docs/", Accept="*/*")
    assert (reply.status, b"stream" in reply.body) == (200, True)


def test_strangers_are_not_shown_what_they_may_not(settings: Any, db: None) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": OPENAPI}
    ours = urls({}).urlpatterns
    docs = get_schema_view(title="The host", patterns=ours, permission_classes=[])
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", include(ours)), path("docs/", docs)]})
    response = Client().get("/docs/")
    assert (response.status_code, b"stream" in response.content) == (200, False)


class Extended(AutoSchema):
    """A schema class of the host's that adds something to every operation."""

    def get_operation(self, *arguments: Any) -> Any:
        return {**super().get_operation(*arguments), "x-host": True}


def test_a_class_of_the_hosts_that_extends_spectaculars_describes_ours(settings: Any) -> None:
    from drf_spectacular.generators import SchemaGenerator

    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": f"{__name__}.Extended"}
    document = SchemaGenerator(patterns=urls({}).urlpatterns).get_schema(public=True)
    described = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert all(operation["x-host"] for operation in described)
    assert document["paths"]["/api/chat/stream/"]["post"]["operationId"] == "chat_stream"


class Mine(ChatViewSet):
    """A subclass with actions of the site's, one described and one not."""

    @extend_schema(operation_id="mine")
    @action(detail=False, methods=["get"])
    def described(self, request: Any) -> Response:
        return Response()

    @action(detail=False, methods=["get"])
    def plain(self, request: Any) -> Response:
        return Response()


@pytest.mark.parametrize("schema", CLASSES)
def test_actions_of_a_subclass_are_described_too(settings: Any, schema: str) -> None:
    from drf_spectacular.generators import SchemaGenerator

    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_SCHEMA_CLASS": schema}
    document = SchemaGenerator(patterns=urls({"chat": Mine}).urlpatterns).get_schema(public=True)
    assert document["paths"]["/api/chat/described/"]["get"]["operationId"] == "mine"
    assert "/api/chat/plain/" in document["paths"]


def test_a_subclass_may_leave_itself_out(settings: Any) -> None:
    from drf_spectacular.generators import SchemaGenerator

    hidden = type("Hidden", (ChatViewSet,), {"schema": None})
    document = SchemaGenerator(patterns=urls({"chat": hidden}).urlpatterns).get_schema(public=True)
    assert "/api/chat-threads/" in document["paths"]
    assert "/api/chat/stream/" not in document["paths"]
