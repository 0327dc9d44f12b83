"""The API under a prefix of its own, beside a chat of the host: no name of the document is the host's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.test import Client
from django.urls import include, path
from drf_spectacular.generators import SchemaGenerator
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.viewsets import GenericViewSet, ViewSet

import waldur_chat.urls
from tests.integration.conftest import Caller
from tests.integration.customized import answering
from tests.integration.test_schema import SNAPSHOT
from waldur_chat.api.routing import register
from waldur_chat.api.views.threads import ThreadViewSet


class ChatRequestSerializer(serializers.Serializer[Any]):
    """A question to the host's own chat."""

    text = serializers.CharField()
    mode = serializers.ChoiceField(["fast", "slow"], allow_null=True)
    message_role = serializers.ChoiceField(["boss", "clerk"])
    feedback_category = serializers.ChoiceField(["good", ""])


class HostThreadViewSet(GenericViewSet[Any]):
    """The host's own conversations."""

    serializer_class = ChatRequestSerializer

    def list(self, request: Any) -> Response:
        """List them."""
        return Response([])

    def create(self, request: Any) -> Response:
        """Begin one."""
        return Response({})


class HostChatViewSet(HostThreadViewSet):
    """The host's own chat."""


class HostRoomViewSet(HostThreadViewSet):
    """More of them."""


def document(prefix: str = "", **hosts: type[ViewSet]) -> dict[str, Any]:
    """The document of a host with these viewsets, and with ours under a prefix."""
    router = SimpleRouter()
    for name, viewset in hosts.items():
        router.register(name.replace("_", "-"), viewset, basename=name)
    if prefix:
        register(router, prefix)
    generated: dict[str, Any] = SchemaGenerator(patterns=[path("api/", include(router.urls))]).get_schema(public=True)
    return generated


def operations(described: dict[str, Any]) -> list[dict[str, Any]]:
    """All operations."""
    return [operation for methods in described["paths"].values() for operation in methods.values()]


@pytest.mark.parametrize(
    ("prefix", "words", "component"),
    [("llm-chat", "llm_chat", "LlmChat"), ("ai/assistant", "ai_assistant", "AiAssistant"), ("chat2", "chat2", "Chat2")],
)
def test_all_names_begin_with_the_prefix(prefix: str, words: str, component: str) -> None:
    described = document(prefix)
    assert {operation["operationId"].partition(words)[:2] for operation in operations(described)} == {("", words)}
    assert {tag.partition(prefix)[:2] for operation in operations(described) for tag in operation["tags"]} == {
        ("", prefix)
    }
    ours = list(described["components"]["schemas"])
    assert {name.removeprefix("Patched").partition(component)[:2] for name in ours} == {("", component)}
    assert {f"{component}RequestRequest", f"{component}RequestModeEnum", f"{component}MessageRoleEnum"} <= set(ours)
    references = [
        one.get("x-waldur-operation-id") for each in operations(described) for one in each.get("parameters", ())
    ]
    assert {one for one in references if one} == {f"{words}_threads_list", f"{words}_sessions_list"}


def test_names_of_the_host_stay() -> None:
    hosts: dict[str, Any] = {
        "chat": HostChatViewSet, "chat_threads": HostThreadViewSet, "chat_rooms": HostRoomViewSet,
    }  # fmt: skip
    alone, beside = document(**hosts), document("llm-chat", **hosts)
    assert {where: beside["paths"][where] for where in alone["paths"]} == alone["paths"]
    schemas = alone["components"]["schemas"]
    assert {name: beside["components"]["schemas"][name] for name in schemas} == schemas
    assert {"ModeEnum", "MessageRoleEnum", "FeedbackCategoryEnum"} <= set(schemas)
    ours = beside["components"]["schemas"].keys() - schemas.keys()
    assert all(name.removeprefix("Patched").startswith("LlmChat") for name in ours)
    ids = [operation["operationId"] for operation in operations(beside)]
    assert len(ids) == len(set(ids))


def test_choices_are_those_of_the_field_under_a_prefix_too() -> None:
    schemas = document("llm-chat")["components"]["schemas"]
    mode = schemas["LlmChatRequestRequest"]["properties"]["mode"]
    assert (mode["allOf"], mode["nullable"]) == ([{"$ref": "#/components/schemas/LlmChatRequestModeEnum"}], True)
    assert schemas["LlmChatRequestModeEnum"] == {"enum": ["reload", "edit"], "type": "string"}
    assert "reload" in mode["description"]


def test_under_the_default_prefix_they_are_the_published_ones() -> None:
    published = yaml.safe_load(SNAPSHOT.read_text())
    described = document("chat")
    assert {one["operationId"] for one in operations(described)} == {
        one["operationId"]
        for where, methods in published["paths"].items()
        for one in methods.values()
        if "chat" in where
    }


def test_a_viewset_under_a_name_of_the_sites_keeps_ours() -> None:
    described = document(conversations=ThreadViewSet)
    assert described["paths"]["/api/conversations/"]["get"]["operationId"] == "chat_threads_list"


@pytest.fixture
def prefixed(settings: Any) -> Iterator[Any]:
    """`include("waldur_chat.urls")` of a site with a prefix."""
    answering(settings, "Hello", URL_PREFIX="llm-chat")
    ours = importlib.reload(waldur_chat.urls)
    pages = include("waldur_chat.page_urls")
    settings.ROOT_URLCONF = type(
        "Urls", (), {"urlpatterns": [path("api/", include(ours.urlpatterns)), path("", pages)]}
    )
    yield settings
    settings.WALDUR_CHAT = {}
    importlib.reload(waldur_chat.urls)


def test_the_urls_have_the_prefix(call: Caller, prefixed: Any) -> None:
    assert call.post("/api/llm-chat/invoke/", {"input": "Hi"}).json == "Hello"
    assert call.invoke({"input": "Hi"}).status == 404


def test_the_page_asks_under_the_prefix(prefixed: Any) -> None:
    assert b"/api/llm-chat/stream/" in Client().get("/").content


def test_a_prefix_that_is_none_is_left_to_the_checks(settings: Any) -> None:
    settings.WALDUR_CHAT = {"URL_PREFIX": "not a prefix"}
    assert importlib.reload(waldur_chat.urls).prefix == "chat"
