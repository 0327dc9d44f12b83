"""What is kept of a request, and when it is refused later."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.test import RequestFactory
from django.utils import translation
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.request import Request

from tests.integration.tools.chat_tools import quote, tell
from tests.integration.tools.conftest import ALICE, ALICE_BY_TOKEN, ROLES, STAFF, TOKENS, Role
from waldur_chat.tools.caller import CallerRefused, ToolCaller
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.execution import run
from waldur_chat.tools.views.view_tool import ViewTool

pytestmark = pytest.mark.usefixtures("projects")
SESSION = ROLES[1]


def change(model: Any, key: Any, **fields: Any) -> Callable[[], None]:
    """A change of a row; its deletion without fields."""
    rows = model.objects.filter(pk=key)
    return lambda: rows.update(**fields) and None if fields else rows.delete() and None


USER = get_user_model()


@pytest.mark.parametrize(
    ("role", "later", "words"),
    [
        (ALICE_BY_TOKEN, change(USER, ALICE), "The user is no longer there."),
        (ALICE_BY_TOKEN, change(USER, ALICE, is_active=False), "The user was deactivated."),
        (ALICE_BY_TOKEN, change(Token, TOKENS[ALICE]), "The credentials of the user were revoked."),
        (SESSION, change(USER, ALICE, password="changed"), "The user has logged in anew since."),
        (SESSION, change(USER, ALICE, is_active=False), "The user was deactivated."),
    ],
)
def test_what_has_changed_since_is_refused(role: Role, later: Callable[[], None], words: str) -> None:
    caller, tool = role.caller(), ViewTool("project-list")
    later()
    with pytest.raises(CallerRefused, match=words):
        caller.reload()
    result = async_to_sync(run)(tool, ToolContext(user=None, caller=caller), "{}")
    assert (result.outcome, result.error) == ("error", words)


@pytest.mark.parametrize(
    ("role", "later"),
    [
        (ALICE_BY_TOKEN, change(USER, ALICE, password="changed")),
        (SESSION, change(Token, TOKENS[ALICE])),
        (ROLES[4], change(USER, ALICE)),
    ],
    ids=["password", "token", "anonymous"],
)
def test_what_it_does_not_depend_on_may_change(role: Role, later: Callable[[], None]) -> None:
    caller = role.caller()
    later()
    assert bool(caller.reload().user.is_authenticated) is bool(role.user)


def test_a_session_outlives_a_change_of_the_secret_key(settings: Any) -> None:
    caller, before = SESSION.caller(), settings.SECRET_KEY
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", [before]
    assert caller.reload().user.pk == ALICE
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(CallerRefused):
        caller.reload()


def test_no_credential_is_kept() -> None:
    kept = json.dumps([role.caller(HTTP_COOKIE="sessionid=secret").as_json() for role in ROLES])
    assert not any(secret in kept for secret in ("secret", *TOKENS.values(), "Authorization"))


def test_of_the_request_only_where_it_came_from_is_kept(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TOOL_REQUEST_META": ["HTTP_X_TIME_ZONE"]}
    sent = {
        "HTTP_X_FORWARDED_FOR": "198.51.100.1",
        "HTTP_USER_AGENT": "tests",
        "HTTP_X_TIME_ZONE": "Europe/Tallinn",
        "HTTP_ACCEPT": "text/html",
        "HTTP_IF_MATCH": "x",
        "HTTP_X_OTHER": "x",
    }
    meta = ALICE_BY_TOKEN.caller(**sent).meta
    assert {name for name in meta if name in sent} == {
        "HTTP_X_FORWARDED_FOR",
        "HTTP_USER_AGENT",
        "HTTP_X_TIME_ZONE",
    }
    assert (meta["REMOTE_ADDR"], meta["wsgi.url_scheme"]) == ("203.0.113.7", "http")


def test_a_language_that_a_cookie_has_chosen_is_asked_for() -> None:
    with translation.override("de"):
        caller = ALICE_BY_TOKEN.caller(HTTP_COOKIE="django_language=de", HTTP_ACCEPT_LANGUAGE="et")
    assert caller.meta["HTTP_ACCEPT_LANGUAGE"] == "de"


class TestImpersonation:
    """Staff who act for others, as Waldur marks them on the user."""

    @pytest.fixture
    def caller(self) -> ToolCaller:
        """What is kept of a request of staff for alice."""
        request = ALICE_BY_TOKEN.request()
        request.user.impersonator = get_user_model().objects.get(pk=STAFF)
        return ToolCaller.of(request)

    def test_it_goes_on(self, caller: ToolCaller) -> None:
        assert caller.reload().user.pk == ALICE

    @pytest.mark.parametrize(
        ("later", "words"),
        [
            (change(USER, STAFF, is_staff=False), "may no longer do so"),
            (change(USER, STAFF, is_active=False), "Who acts for the user was deactivated"),
            (change(USER, STAFF), "Who acts for the user is no longer there"),
        ],
    )
    def test_until_they_may_not(self, caller: ToolCaller, later: Callable[[], None], words: str) -> None:
        later()
        with pytest.raises(CallerRefused, match=words):
            caller.reload()

    def test_the_row_of_staffs_own_token_is_found(self) -> None:
        request = ROLES[3].request()
        request.user = get_user_model().objects.get(pk=ALICE)
        caller = ToolCaller.of(request)
        assert caller.reload().auth.user_id == STAFF
        change(USER, STAFF, is_active=False)()
        with pytest.raises(CallerRefused, match="revoked"):
            caller.reload()


class HeaderAuthentication(BaseAuthentication):
    """A user by their name in a header, which cannot be made again."""

    def authenticate(self, request: Any) -> Any:
        name = request.META.get("HTTP_X_NAME")
        return (get_user_model().objects.get(username=name), {"claims": 1}) if name else None


class ReversedTokens(TokenAuthentication):
    """Tokens of which the table has the reverse only."""

    def authenticate_credentials(self, key: str) -> Any:
        return super().authenticate_credentials(key[::-1])


@pytest.mark.parametrize(
    ("authenticator", "sent", "kind"),
    [
        (HeaderAuthentication, {"HTTP_X_NAME": "alice"}, "other"),
        (ReversedTokens, {"HTTP_AUTHORIZATION": f"Token {'a' * 39}r"}, "other"),
        (TokenAuthentication, {"HTTP_AUTHORIZATION": f"Token {TOKENS[ALICE]}"}, "token"),
    ],
)
def test_how_a_user_was_authenticated_is_kept(authenticator: Any, sent: dict[str, str], kind: str) -> None:
    if authenticator is ReversedTokens:
        Token.objects.filter(user_id=ALICE).update(key=f"r{'a' * 39}")
    made = RequestFactory().get("/", **sent)
    caller = ToolCaller.of(Request(made, authenticators=[authenticator()]))
    assert (caller.kind, caller.user) == (kind, str(ALICE))
    assert caller.authenticator.endswith(authenticator.__name__)
    assert caller.reload().user.pk == ALICE


def test_a_request_of_django_itself_has_a_session() -> None:
    caller = ToolCaller.of(SESSION.request()._request)
    assert (caller.kind, caller.auth, caller.authenticator) == ("session", None, "")


def test_a_function_gets_the_user_as_they_are_now() -> None:
    caller = ALICE_BY_TOKEN.caller()
    change(USER, ALICE, username="alice2")()
    for tool, text in ((quote, '{"size": "small"}'), (tell, "")):
        result = async_to_sync(run)(tool, ToolContext(user=None, caller=caller), text)
        assert "alice2" in json.dumps([result.data, result.summary])
