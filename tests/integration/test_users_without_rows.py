"""Users whom the host has authenticated, and who are no rows of its table: answered, never stored, never a 500."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.db import IntegrityError
from rest_framework.authentication import BaseAuthentication

from tests.integration.chatting import settled
from tests.integration.conftest import JSON, Caller
from tests.integration.customized import answering, subclassed, urls
from tests.integration.rights import SECRET, World, cases
from waldur_chat.models import Budget, Message, Session, Thread, Turn
from waldur_chat.store.conversations import sessions

HI = {"input": "Hi"}
REQUESTS = sorted({(case.method, case.path, case.body) for case in cases()})


class TokenUser:
    """As simplejwt makes one of the claims of a token: authenticated, with a key, but no row."""

    is_authenticated = True
    is_active = True

    def __init__(self, pk: Any, is_staff: bool = False) -> None:
        self.pk = self.id = pk
        self.username = "token"
        self.is_staff = is_staff


def site(settings: Any, user: Any, **own: Any) -> None:
    """Let everybody be this user."""
    cache.clear()
    authenticate = {"authenticate": lambda self, request: (user, None), "authenticate_header": lambda *_: "Bearer"}
    kind = type("Stateless", (BaseAuthentication,), authenticate)
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[kind]))
    answering(settings, "Hello", **{"STORAGE": True, **own})


def stored() -> int:
    """How many rows there are."""
    settled()
    return sum(model._default_manager.count() for model in (Session, Thread, Message, Turn))


def made_up(key: Any) -> Any:
    """An instance of the user model that was not read from the database."""
    return get_user_model()(pk=key, username="made up")


def of_a_user(user: Any) -> Any:
    """The user of a token of another service, with the key of a user here."""
    return TokenUser(str(user.pk))


WITHOUT_ROWS = {
    "a number": lambda user: TokenUser("1"),
    "the key of a user": of_a_user,
    "a name": lambda user: TokenUser("alice"),
    "a made-up number": lambda user: made_up(999),
    "a made-up name": lambda user: made_up("alice"),
}


@pytest.mark.parametrize("who", WITHOUT_ROWS)
def test_they_are_answered_and_nothing_is_stored(call: Caller, user: Any, settings: Any, who: str) -> None:
    site(settings, WITHOUT_ROWS[who](user))
    replies = [call.invoke(HI), call.invoke(), call.stream(HI)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert stored() == 0


@pytest.mark.parametrize("who", WITHOUT_ROWS)
def test_everything_else_shows_them_nothing(call: Caller, user: Any, settings: Any, who: str) -> None:
    world = World("other")
    uuids = world.uuids()
    site(settings, WITHOUT_ROWS[who](user))
    for method, where, body in REQUESTS:
        url, sent = f"/api/{where}", body or "{}"
        for name, uuid in uuids.items():
            url, sent = url.replace(f"<{name}>", uuid), sent.replace(f"<{name}>", uuid)
        reply = call._send(method, url, sent.encode(), JSON, {})
        assert reply.status in (200, 401, 403, 404) or (reply.status, where) == (400, "chat-tools/execute/")
        assert SECRET.encode() not in reply.body


def test_a_made_up_instance_of_a_row_is_that_user(call: Caller, user: Any, settings: Any) -> None:
    site(settings, made_up(user.pk))
    assert call.invoke(HI).status == 200
    settled()
    assert Session.objects.get().user == user


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
def test_roles_are_those_of_the_token(call: Caller, settings: Any, is_staff: bool, status: int) -> None:
    site(settings, TokenUser("5", is_staff), ENABLED_ROLES="staff")
    assert call.invoke(HI).status == status


def test_each_of_them_has_a_rate_of_their_own(call: Caller, settings: Any) -> None:
    rest = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chat_invoke": "1/day"}}
    settings.REST_FRAMEWORK = rest
    user = TokenUser("a")
    site(settings, user)
    statuses = []
    for user.pk in ("a", "a", "b", "b"):
        statuses.append(call.invoke(HI).status)
    assert statuses == [200, 429, 200, 429]


def gone(name: str) -> Any:
    """A user as a cache of the host's still has them: read from the database, and deleted since."""
    user = get_user_model().objects.create_user(name)
    kept = get_user_model().objects.get(pk=user.pk)
    user.delete()
    return kept


@pytest.mark.parametrize("limited", [False, True])
def test_a_user_who_was_deleted_is_not_authenticated(call: Caller, settings: Any, limited: bool) -> None:
    site(settings, gone("bob"), **({"USER_TOKENS_DAILY": 100_000} if limited else {}))
    replies = [
        call.invoke(HI),
        call.stream(HI),
        call.get("/api/chat-sessions/current/"),
        call.get("/api/chat-threads/"),
    ]
    assert [reply.status for reply in replies] == [401, 401, 401, 200]
    assert (replies[0].json["code"], replies[0].headers["WWW-Authenticate"]) == ("authentication_failed", "Bearer")
    assert stored() == 0
    assert not Budget.objects.filter(user__isnull=False).exists()


def test_other_faults_of_integrity_are_not_blamed_on_the_user(
    call: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(user: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(sessions, "get_or_create", fail)
    with pytest.raises(IntegrityError):
        call.get("/api/chat-sessions/current/")


@pytest.mark.filterwarnings("ignore:The HMAC key")  # The tests' SECRET_KEY signs them, which is short.
def test_tokens_of_another_service(call: Caller, user: Any, settings: Any) -> None:
    pytest.importorskip("rest_framework_simplejwt")
    from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication
    from rest_framework_simplejwt.tokens import AccessToken

    cache.clear()
    settings.ROOT_URLCONF = urls(subclassed(authentication_classes=[JWTStatelessUserAuthentication]))
    answering(settings, "Hello", STORAGE=True)
    call.token = ""
    for key in (user.pk, "alice"):
        token = AccessToken()
        token["user_id"] = key
        sent = {"Authorization": f"Bearer {token}"}
        assert [reply.status for reply in (call.invoke(HI, **sent), call.stream(HI, **sent))] == [200, 200]
        assert call.get("/api/chat-threads/", **sent).json == []
        assert call.get("/api/chat-sessions/current/", **sent).status == 404
    assert stored() == 0
