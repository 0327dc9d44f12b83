"""What a host sets for all its views, or puts around ours, works as everywhere in DRF."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.checks import run_checks
from django.test import Client, override_settings
from django.urls import NoReverseMatch, include, path
from django.utils.module_loading import import_string
from rest_framework.metadata import SimpleMetadata
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.versioning import (
    AcceptHeaderVersioning,
    NamespaceVersioning,
    QueryParameterVersioning,
    URLPathVersioning,
)

from tests.integration.conftest import JSON, Caller
from tests.integration.customized import answering, subclassed, urls
from tests.integration.stored import thread_of
from waldur_chat import shedding
from waldur_chat.api.request import auth
from waldur_chat.api.routing import register
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.errors import ProviderBusy
from waldur_chat.testing import scripted


class Telling(ChatViewSet):
    """Says which version it was asked for."""

    def finalize_response(self, request: Any, response: Any, *args: Any, **kwargs: Any) -> Any:
        finalized = super().finalize_response(request, response, *args, **kwargs)
        finalized["X-Version"] = str(getattr(request, "version", ""))
        return finalized


def versioned(scheme: Any) -> Any:
    """A subclass that is versioned by this scheme."""
    return type("Versioned", (Telling,), {"versioning_class": scheme})


@pytest.mark.parametrize("scheme", [URLPathVersioning, NamespaceVersioning, QueryParameterVersioning])
def test_versions_in_addresses(call: Caller, settings: Any, scheme: Any) -> None:
    router = SimpleRouter()
    register(router, viewsets={"chat": versioned(scheme)})
    prefix = r"<str:version>/" if scheme is URLPathVersioning else "v2/"
    nested = path(prefix, include((router.urls, "chat"), namespace="v2"))
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [nested]})
    answering(settings, "Hello")
    for operation in ("invoke", "stream"):
        reply = call.post(f"/v2/chat/{operation}/?version=v2", {"input": "Hi"})
        assert (reply.status, reply.headers["X-Version"]) == (200, "v2")


@pytest.mark.parametrize("scheme", ["URLPathVersioning", "NamespaceVersioning"])
def test_all_views_and_the_page_work_under_versions_and_namespaces(
    call: Caller, settings: Any, user: Any, scheme: str
) -> None:
    kind = f"rest_framework.versioning.{scheme}"
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_VERSION": "v2"}
    router = SimpleRouter()
    register(router, viewsets=subclassed(versioning_class=import_string(kind)))
    prefix = r"<str:version>/" if scheme == "URLPathVersioning" else "v2/"
    nested = path(prefix, include((router.urls, "chat"), namespace="v2"))
    page = path("", include("waldur_chat.page_urls"))
    host = path("host/", include(([path("", lambda request: None)], "host")))
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [page, host, path("api/", include([nested]))]})
    answering(settings, "Hello", STORAGE=True)
    assert call.post("/api/v2/chat/invoke/", {"input": "Hi"}).status == 200
    (thread,) = call.get("/api/v2/chat-threads/").json
    assert call.get(f"/api/v2/chat-threads/{thread['uuid']}/").status == 200
    assert call.get("/api/v2/chat-threads/stats/").status == 200
    assert call.post(f"/api/v2/chat-threads/{thread['uuid']}/archive/").status == 204
    assert len(call.get(f"/api/v2/chat-messages/?thread={thread['uuid']}").json) == 2
    assert call.get("/api/v2/chat-quota/usage/").status == 200
    shown = call.get("/", Accept="text/html").body.decode()
    assert "/api/v2/chat/stream/" in shown
    assert "/api/v2/chat-threads/" in shown


def test_a_page_without_an_api_says_so(settings: Any) -> None:
    settings.ROOT_URLCONF = "waldur_chat.page_urls"
    with pytest.raises(NoReverseMatch, match="chat-stream"):
        Client().get("/")


def test_a_site_that_authenticates_nobody_logs_why(
    call: Caller, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_AUTHENTICATION_CLASSES": []}
    assert call.invoke().status == 403
    assert "DEFAULT_AUTHENTICATION_CLASSES of the site is empty" in caplog.text


def test_tokens_without_a_table_are_refused_and_logged(
    call: Caller, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework.authtoken"]
    assert call.invoke().status == 403
    assert "rest_framework.authtoken is not in INSTALLED_APPS" in caplog.text


def test_providers_without_a_default_are_logged(call: Caller, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"main": {"BACKEND": "waldur_chat.providers.offline.OfflineProvider"}}}
    assert call.invoke().json["code"] == "chat_not_configured"
    assert "there is no provider 'default'" in caplog.text


@pytest.mark.parametrize(
    ("operation", "accept", "version"),
    [
        ("invoke", "application/json; version=2.0", "2.0"),
        ("invoke", "application/json", "None"),
        ("stream", "text/event-stream; version=2.0", "2.0"),
        ("stream", "application/x-ndjson;q=0.5, Text/Plain; q=1; version=3", "3"),
        ("stream", "text/html; version=2.0, */*", "None"),
        ("stream", "*/*", "None"),
    ],
)
def test_versions_in_accept(call: Caller, settings: Any, operation: str, accept: str, version: str) -> None:
    settings.ROOT_URLCONF = urls({"chat": versioned(AcceptHeaderVersioning)})
    answering(settings, "Hello")
    reply = call.post(f"/api/chat/{operation}/", {"input": "Hi"}, Accept=accept)
    assert (reply.status, reply.headers["X-Version"]) == (200, version)


def test_a_version_that_is_not_allowed_is_refused(call: Caller, settings: Any) -> None:
    scheme = type("Scheme", (AcceptHeaderVersioning,), {"allowed_versions": ["1.0"], "default_version": "1.0"})
    settings.ROOT_URLCONF = urls({"chat": versioned(scheme)})
    answering(settings, "Hello")
    reply = call.stream(Accept="text/event-stream; version=2.0")
    assert (reply.status, reply.headers["Content-Type"]) == (406, "application/json")


class Named(SimpleMetadata):
    """Metadata of the host's: DRF's, and a name."""

    def determine_metadata(self, request: Any, view: Any) -> Any:
        return {**super().determine_metadata(request, view), "host": "ours"}


def options(call: Caller, where: str) -> Any:
    """The answer to OPTIONS."""
    reply = call._send("OPTIONS", f"/api/{where}/", b"", JSON, {})
    return reply.status, reply.json


def test_metadata_of_the_site_is_asked(call: Caller, settings: Any, user: Any) -> None:
    thread = thread_of(user, "Hello")
    settings.ROOT_URLCONF = urls(subclassed(metadata_class=Named))
    for where in ("chat/stream", "chat-threads", f"chat-threads/{thread.uuid.hex}", "chat-quota/usage"):
        status, told = options(call, where)
        assert (status, told["host"]) == (200, "ours")
    assert "input" in options(call, "chat/stream")[1]["actions"]["POST"]
    assert "name" in options(call, f"chat-threads/{thread.uuid.hex}")[1]["actions"]["PUT"]
    assert "actions" not in options(call, f"chat-threads/{'0' * 32}")[1]


def test_no_metadata_is_none(call: Caller, settings: Any) -> None:
    settings.ROOT_URLCONF = urls(subclassed(metadata_class=None))
    assert [options(call, where)[0] for where in ("chat/stream", "chat-threads")] == [405, 405]


def test_metadata_of_the_host_is_asked() -> None:
    assert auth.metadata_class() is auth.PlainMetadata
    for given in (f"{__name__}.Named", None):
        with override_settings(REST_FRAMEWORK={"DEFAULT_METADATA_CLASS": given}):
            assert auth.metadata_class() is (Named if given else None)


def test_without_metadata_of_the_hosts_no_fields_are_told(call: Caller) -> None:
    for where in ("chat/stream", "chat-threads"):
        status, told = options(call, where)
        assert (status, "actions" in told) == (200, False)


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """An exception handler of the host's that looks at all it is given."""
    view, request = context["view"], context["request"]
    told = [type(error).__name__, type(view).__name__, request.method, view.action, str(request.user)]
    return Response({"told": told}, status=getattr(error, "status_code", 500))


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_the_hosts_exception_handler_is_told_all(call: Caller, operation: str) -> None:
    own = {**django_settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": f"{__name__}.handler"}
    once = {"ATTEMPTS": 1}
    with override_settings(REST_FRAMEWORK=own, WALDUR_CHAT=once), scripted(ProviderBusy(retry_after=7)):
        invalid = call.post(f"/api/chat/{operation}/", {"input": 1})
        failed = call.post(f"/api/chat/{operation}/", {"input": "Hi"})
    assert invalid.json["told"] == ["ValidationError", "ChatViewSet", "POST", operation, "alice"]
    assert (failed.status, failed.json["told"][0]) == (503, "ChatAPIException")
    assert (failed.json["code"], failed.headers["Retry-After"]) == ("provider_busy", "7")


class Reporting(ChatViewSet):
    """A subclass in a module of the site's."""


def test_load_shedding_counts_subclasses(settings: Any, rf: Any) -> None:
    router = SimpleRouter()
    register(router, "reporting", {"chat": Reporting})
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": router.urls})
    settings.WALDUR_CHAT = {"TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 0}
    told: list[str] = []

    def start_response(status: str, headers: Any) -> None:
        told.append(status.partition(" ")[0])

    def busy(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        return [b""]

    application = shedding.wsgi(busy)
    for where in ("reporting/stream/", "reporting/invoke/", "reporting-threads/", "nowhere/"):
        application(rf.post(f"/{where}", {}, JSON).environ, start_response)  # None of them is closed.
    assert told == ["200", "503", "200", "200"]


@pytest.mark.django_db  # Django's own checks ask the database what it can do, once in a process.
def test_the_check_finds_subclasses(settings: Any) -> None:
    settings.ROOT_URLCONF = urls({"chat": Reporting})
    assert "waldur_chat.W004" not in {message.id for message in run_checks()}
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("", lambda request: None)]})
    assert "waldur_chat.W004" in {message.id for message in run_checks()}
