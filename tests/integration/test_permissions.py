"""What a site puts in the place of our classes wins, as everywhere in DRF."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.urls import path
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.decorators import action
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.parsers import FormParser, JSONParser
from rest_framework.permissions import AllowAny, BasePermission, DjangoModelPermissions, IsAuthenticated
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from tests.integration.conftest import JSON, Caller
from tests.integration.customized import Never, answering, subclassed, urls
from tests.integration.rights import cases
from waldur_chat.api.request.throttles import ChatRateThrottle
from waldur_chat.api.routing import register
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.api.views.threads import ThreadViewSet
from waldur_chat.testing import scripted

REQUESTS = sorted({(case.method, case.path.partition("?")[0]) for case in cases()})
ASK = ("/api/chat/invoke/", "/api/chat/stream/")


class ByName(BaseAuthentication):
    """An authentication of the site's: a header has the name."""

    def authenticate(self, request: Any) -> Any:
        from django.contrib.auth import get_user_model

        name = request.headers.get("X-Name")
        return (get_user_model().objects.get(username=name), None) if name else None

    def authenticate_header(self, request: Any) -> str:
        return "Name"


class Refusing(TokenAuthentication):
    """Tokens as DRF has them, but nobody is let in."""

    def authenticate_credentials(self, key: str) -> Any:
        raise AuthenticationFailed("We are closed.")


class IsVerified(IsAuthenticated):
    """A permission of the host's that asks for more than an authenticated user."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return super().has_permission(request, view) and request.user.username == "verified"


class Slow(BaseThrottle):
    """A throttle of the site's that refuses everybody."""

    def allow_request(self, request: Any, view: Any) -> bool:
        return False


@pytest.fixture
def site(settings: Any) -> Any:
    """Lets a site have viewsets of its own."""

    def use(viewsets: dict[str, Any]) -> None:
        settings.ROOT_URLCONF = urls(viewsets)

    answering(settings, "Hello")
    return use


@pytest.fixture
def rates(settings: Any) -> Any:
    """The host's rates."""
    cache.clear()

    def set_rates(**rates: str) -> None:
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": rates}

    yield set_rates
    api_settings.reload()


def statuses(call: Caller, **headers: str) -> list[int]:
    """Of both operations."""
    return [call.post(path, {"input": "Hi"}, **headers).status for path in ASK]


def send_all(call: Caller) -> dict[tuple[str, str], int]:
    """The status of every request that there is."""
    uuids = {"<thread>", "<question>", "<answer>", "<turn>", "<session>", "<prompt>"}
    found = {}
    for method, where in REQUESTS:
        url = f"/api/{where}"
        for name in uuids:
            url = url.replace(name, "0" * 32)
        found[method, where] = call._send(method, url, b"{}", JSON, {}).status
    return found


def test_permissions_of_subclasses_are_asked(call: Caller, site: Any) -> None:
    site(subclassed(permission_classes=[Never]))
    assert send_all(call) == dict.fromkeys(REQUESTS, 403)


def test_authentication_of_subclasses_is_asked(call: Caller, site: Any) -> None:
    site(subclassed(authentication_classes=[ByName]))
    # Whoever may be anybody is not asked who they are, or answered all the same.
    public = [("GET", "chat/config/"), ("GET", "chat/health/"), ("GET", "chat/ready/"), ("HEAD", "chat/ready/")]
    assert send_all(call) == {**dict.fromkeys(REQUESTS, 401), **dict.fromkeys(public, 200)}
    call.token = ""
    assert statuses(call, X_Name="alice") == [200, 200]


def test_throttles_of_subclasses_are_asked(call: Caller, site: Any) -> None:
    site(subclassed(throttle_classes=[Slow]))
    assert send_all(call) == dict.fromkeys(REQUESTS, 429)


def test_methods_of_subclasses_are_asked(call: Caller, site: Any) -> None:
    site(subclassed(get_permissions=lambda view: [Never()]))
    assert statuses(call) == [403, 403]
    site(subclassed(get_authenticators=lambda view: [ByName()]))
    assert statuses(call) == [401, 401]


def test_the_permissions_of_an_action_are_asked(call: Caller, site: Any) -> None:
    class Mine(ChatViewSet):
        @action(detail=False, methods=["post"], permission_classes=[Never])
        def invoke(self, request: Any, **kwargs: Any) -> Any:
            return super().invoke(request, **kwargs)

        @action(detail=False, methods=["get"], authentication_classes=[ByName])
        def version(self, request: Any, **kwargs: Any) -> Any:
            return Response("1")

    site({"chat": Mine})
    assert statuses(call) == [403, 200]
    assert [call.get("/api/chat/version/").status, call.get("/api/chat/version/", X_Name="alice").status] == [401, 200]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, 200),
        ({"permission_classes": [Never]}, 403),
        ({"authentication_classes": [ByName]}, 401),
        ({"throttle_classes": [Slow]}, 429),
        ({"parser_classes": [FormParser]}, 415),
    ],
)
def test_options_of_as_view_win(call: Caller, settings: Any, options: dict[str, Any], status: int) -> None:
    view = ChatViewSet.as_view({"post": "stream"}, **options)
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [path("ask/", view)]})
    with scripted("Hello"):
        assert call.post("/ask/", {"input": "Hi"}).status == status


def test_a_list_may_begin_with_ours(call: Caller, site: Any) -> None:
    site({"chat": type("Mine", (ChatViewSet,), {"permission_classes": [*ChatViewSet.permission_classes, AllowAny]})})
    assert statuses(call) == [200, 200]
    call.token = ""
    assert statuses(call) == [401, 401]
    mine = {"authentication_classes": [*ChatViewSet.authentication_classes, ByName]}
    site({"chat": type("Mine", (ChatViewSet,), mine)})
    assert statuses(call, X_Name="alice") == [200, 200]


def test_a_hosts_permission_that_extends_drfs_is_asked(call: Caller, user: Any) -> None:
    own = {"DEFAULT_PERMISSION_CLASSES": [f"{__name__}.IsVerified"]}
    for name, expected in (("alice", [403, 403]), ("verified", [200, 200])):
        user.username = name
        user.save()
        with override_settings(REST_FRAMEWORK=own), scripted("Hello"):
            assert statuses(call) == expected


class NobodyHere(BasePermission):
    """One half of a combination."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return False


BOTH = IsAuthenticated & NobodyHere


def test_a_hosts_combination_of_permissions_is_asked(call: Caller) -> None:
    with override_settings(REST_FRAMEWORK={"DEFAULT_PERMISSION_CLASSES": [f"{__name__}.BOTH"]}), scripted("Hello"):
        assert statuses(call) == [403, 403]


def test_permissions_of_models_may_be_asked_for(call: Caller, site: Any, user: Any) -> None:
    site(subclassed(permission_classes=[IsAuthenticated, DjangoModelPermissions]))
    user.is_staff = True
    user.save()
    for name in ("threads", "messages", "sessions", "system-prompts"):
        assert call.get(f"/api/chat-{name}/").status == 200
    assert call.post("/api/chat-system-prompts/", {"name": "a"}).status == 403
    user.user_permissions.add(Permission.objects.get(codename="add_systemprompt"))
    assert call.post("/api/chat-system-prompts/", {"name": "a"}).status == 201


def test_the_hosts_own_token_class_is_asked(call: Caller) -> None:
    own = {"DEFAULT_AUTHENTICATION_CLASSES": [f"{__name__}.Refusing"]}
    with override_settings(REST_FRAMEWORK=own), scripted("Hello"):
        reply = call.invoke()
    assert (reply.status, reply.json["detail"]) == (401, "We are closed.")


def test_drfs_token_class_may_refuse_more(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site has patched it, or a later release looks at more."""
    monkeypatch.setattr(TokenAuthentication, "authenticate_credentials", Refusing.authenticate_credentials)
    with scripted("Hello"):
        assert statuses(call) == [401, 401]
        assert call.get("/api/chat-threads/").status == 401


def test_who_is_inactive_or_unknown_is_told_so(call: Caller, user: Any) -> None:
    with scripted("Hello"):
        assert call.invoke().json == "Hello"
    user.is_active = False
    user.save()
    refused = call.invoke()
    assert (refused.status, refused.json["detail"]) == (401, "User inactive or deleted.")
    call.token = "unknown"
    refused = call.invoke()
    assert (refused.status, refused.json["detail"]) == (401, "Invalid token.")


def test_no_throttles_are_none(call: Caller, site: Any, rates: Any) -> None:
    rates(chat_stream="1/day", chat_invoke="1/day")
    site({"chat": type("Mine", (ChatViewSet,), {"throttle_classes": []})})
    assert [statuses(call) for _ in range(2)] == [[200, 200]] * 2


def test_ours_may_have_a_rate_and_a_scope_of_the_sites(call: Caller, site: Any, rates: Any) -> None:
    rates()
    site({"chat": type("Mine", (ChatViewSet,), {"throttle_classes": [type("Own", (ChatRateThrottle,), OWN)]})})
    replies = [call.stream() for _ in range(2)]
    assert [reply.status for reply in replies] == [200, 429]
    assert replies[0].headers["RateLimit-Policy"] == '"ours";q=1;w=86400'


OWN: dict[str, Any] = {"scope": "ours", "rate": "1/day"}


def test_parsers_of_a_subclass_read_bodies(call: Caller, site: Any) -> None:
    site({"chat": type("Mine", (ChatViewSet,), {"parser_classes": [JSONParser, FormParser]})})
    assert statuses(call) == [200, 200]
    form = "application/x-www-form-urlencoded"
    assert [call.post(path, b"input=Hi", form).status for path in ASK] == [200, 200]
    assert call.post(ASK[1], b"other=Hi", form).status == 400


class Shouting(JSONRenderer):
    """A renderer of the site's."""

    def render(self, data: Any, *arguments: Any, **options: Any) -> Any:
        return json.dumps(data).upper().encode()


def test_renderers_of_a_subclass_write_answers(call: Caller, site: Any) -> None:
    site(subclassed(renderer_classes=[Shouting]))
    assert call.invoke().body == b'"HELLO"'
    assert b"hello" in call.stream().body.lower()
    assert call.stream({}).json["INPUT"] == ["THIS FIELD IS REQUIRED."]


def test_a_subclass_may_be_browsed(call: Caller, site: Any) -> None:
    site(subclassed(renderer_classes=[JSONRenderer, BrowsableAPIRenderer]))
    shown = call.get("/api/chat-threads/", Accept="text/html,*/*;q=0.8")
    assert (shown.status, shown.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for reply in (call.get("/api/chat-threads/"), call.invoke(), call.get("/api/chat-threads/", Accept="image/png")):
        assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    stream = call.stream(Accept="text/event-stream")
    assert (stream.status, stream.headers["Content-Type"]) == (200, "text/event-stream")
    assert call.stream({}, Accept="text/event-stream").headers["Content-Type"] == "application/json"


def test_a_viewset_that_there_is_not_is_named() -> None:
    with pytest.raises(
        ImproperlyConfigured, match="'chats', only config, health, ready, chat, threads, messages, sessions, quota, sys"
    ):
        register(SimpleRouter(), viewsets={"chats": ChatViewSet, "threads": ThreadViewSet})


def test_viewsets_of_the_site_have_the_places_of_ours(call: Caller, site: Any) -> None:
    class Mine(ThreadViewSet):
        def list(self, request: Any, **kwargs: Any) -> Response:
            return Response(["mine"])

    site({"threads": Mine})
    assert call.get("/api/chat-threads/").json == ["mine"]
    assert statuses(call) == [200, 200]
