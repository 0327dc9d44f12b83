"""Anonymous users whom a site lets in: answered, paid for by the site, limited by address, and nothing is theirs."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.settings import api_settings

from tests.integration.chatting import settled
from tests.integration.conftest import JSON, Caller
from tests.integration.customized import answering, open_to_all, subclassed, urls
from tests.integration.rights import SECRET, World, cases, rows
from waldur_chat import chat, users
from waldur_chat.models import Budget, DayOfUsage, Message, Session, Thread, Turn
from waldur_chat.store.budgets import accounts
from waldur_chat.store.conversations import system_prompts

REQUESTS = sorted({(case.method, case.path, case.body) for case in cases()})
HI = {"input": "Hi"}


@pytest.fixture
def site(settings: Any, transactional_db: None) -> Any:
    """A site that lets everybody in, and stores conversations."""
    cache.clear()
    settings.ROOT_URLCONF = urls(open_to_all())

    def use(**own: Any) -> Any:
        return answering(settings, "Hello", **{"STORAGE": True, **own})

    use()
    yield use
    settled()
    api_settings.reload()


@pytest.fixture
def stranger(call: Caller, site: Any) -> Caller:
    """Somebody without a token."""
    call.token = ""
    return call


def stored() -> list[int]:
    """How much there is of what a user's question leaves behind."""
    settled()
    return [model._default_manager.count() for model in (Session, Thread, Message, Turn)]


def test_questions_are_answered_and_not_stored(stranger: Caller) -> None:
    replies = [stranger.invoke(HI), stranger.invoke(), stranger.stream(HI)]
    assert [reply.status for reply in replies] == [200, 200, 200]
    assert replies[0].json == "Hello"
    assert b"Hello" in replies[2].body
    assert not any("X-Chat-Thread" in reply.headers for reply in replies)
    assert stored() == [0, 0, 0, 0]


def test_nobody_can_come_back_to_them(stranger: Caller, user: Any) -> None:
    reply = stranger.stream(HI)
    assert stranger.get(f"/api/chat/turns/{reply.headers['X-Chat-Turn']}/events/").status == 404


def test_turns_of_deleted_users_are_not_theirs(stranger: Caller, site: Any) -> None:
    """Such a turn has no user either."""
    thread = Thread.objects.create(session=Session.objects.create(user=users_of("bob")))
    turn = Turn.objects.create(thread=thread, user=None, expires=thread.created, status="finished")
    assert stranger.get(f"/api/chat/turns/{turn.uuid.hex}/events/").status == 404


def users_of(name: str) -> Any:
    """Another user."""
    from django.contrib.auth import get_user_model

    return get_user_model().objects.create_user(name)


def test_a_key_leads_to_no_earlier_turn(stranger: Caller, site: Any) -> None:
    script = site()
    assert [stranger.invoke(HI, Idempotency_Key="a").status for _ in range(2)] == [200, 200]
    assert script.opened == 2


@pytest.mark.parametrize("name", ["thread_uuid", "update_thread_name"])
def test_conversations_of_others_are_not_found(stranger: Caller, user: Any, name: str) -> None:
    thread = Thread.objects.create(session=Session.objects.create(user=user))
    for uuid in (thread.uuid.hex, uuid4().hex):
        assert [stranger.stream({**HI, name: uuid}).status, stranger.invoke({**HI, name: uuid}).status] == [404, 404]
    assert Message.objects.count() == 0


@pytest.mark.parametrize("storage", [True, False])
def test_they_count_in_the_budget_of_the_site(stranger: Caller, site: Any, storage: bool) -> None:
    site(SITE_TOKENS_DAILY=100_000, USER_TOKENS_DAILY=1, STORAGE=storage)
    assert stranger.invoke(HI).status == 200
    settled()
    (account,) = Budget.objects.all()
    (line,) = DayOfUsage.objects.all()
    assert (account.is_site, account.user, account.reserved) == (True, None, 0)
    assert (line.user, line.turns) == (None, 1)
    assert account.daily_tokens == line.input_tokens + line.output_tokens > 0


def test_they_are_counted_where_nothing_is_limited(stranger: Caller) -> None:
    stranger.stream(HI)
    settled()
    assert [account.is_site for account in Budget.objects.filter(daily_tokens__gt=0)] == [True]


def test_the_ledger_has_one_line_for_all_of_them(stranger: Caller) -> None:
    for _ in range(3):
        stranger.invoke(HI)
        settled()
    (line,) = DayOfUsage.objects.all()
    assert (line.user, line.turns) == (None, 3)
    assert line.input_tokens + line.output_tokens == Budget.objects.get(is_site=True).daily_tokens


def test_the_budget_of_the_site_refuses_them(stranger: Caller, site: Any) -> None:
    site(SITE_TOKENS_DAILY=10)
    reply = stranger.invoke(HI)
    assert (reply.status, reply.json["code"], reply.json["scope"]) == (429, "budget_exhausted", "site")


def test_an_account_of_nobodys_is_never_made(site: Any, user: Any) -> None:
    site(SITE_TOKENS_DAILY=10, USER_TOKENS_DAILY=10)
    assert [one.scope for one in accounts.limited_accounts(AnonymousUser(), chat.load())] == ["site"]


def test_limits_of_users_are_not_theirs(stranger: Caller, site: Any) -> None:
    site(TURNS_PER_USER=1)
    assert "turns" not in stranger.invoke(HI).headers.get("RateLimit-Policy", "")


def test_their_rate_is_that_of_the_address(stranger: Caller, user: Any, settings: Any) -> None:
    rest = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1, "DEFAULT_THROTTLE_RATES": {"chat_invoke": "1/day"}}
    settings.REST_FRAMEWORK = rest
    here, there = {"X_Forwarded_For": "192.0.2.1"}, {"X_Forwarded_For": "x" * 1000 + ", 192.0.2.2"}
    statuses = [stranger.invoke(HI, **where).status for where in (here, here, there, there)]
    assert statuses == [200, 429, 200, 429]


def test_an_address_may_be_of_any_length(stranger: Caller, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chat_invoke": "1/day"}}
    long = {"X_Forwarded_For": "x y" * 1000}
    assert [stranger.invoke(HI, **long).status for _ in range(2)] == [200, 429]


def test_the_model_is_told_the_system_prompt(stranger: Caller, site: Any, user: Any) -> None:
    system_prompts.activate(system_prompts.create(user, name="Ours", custom_instructions="Be kind."))
    script = site()
    stranger.invoke(HI)
    assert [message.text for message in script.prompts[0].messages] == ["Be kind.", "Hi"]


def test_who_is_known_is_answered_as_ever(call: Caller, site: Any) -> None:
    assert "X-Chat-Thread" in call.invoke(HI).headers
    assert stored() == [1, 1, 2, 1]


class Guest:
    """A user of the site's who is none of the table."""

    is_authenticated = False

    def __init__(self, pk: Any) -> None:
        self.pk = pk


class AsAlice(BaseAuthentication):
    """An authentication of the site's that gives a guest the key of a user."""

    def authenticate(self, request: Any) -> Any:
        from django.contrib.auth import get_user_model

        return Guest(get_user_model().objects.get(username="alice").pk), None


def test_a_guest_has_nothing_by_a_users_key(call: Caller, site: Any, settings: Any) -> None:
    call.invoke(HI)
    settled()
    assert len(call.get("/api/chat-threads/").json) == 1
    settings.ROOT_URLCONF = urls(subclassed(permission_classes=[AllowAny], authentication_classes=[AsAlice]))
    assert call.get("/api/chat-threads/").json == []
    assert call.invoke(HI).status == 200
    assert stored() == [1, 1, 2, 1]


@pytest.mark.parametrize("unauthenticated", ["django.contrib.auth.models.AnonymousUser", None])
@pytest.mark.parametrize("colour", ["wsgi", "asgi"])
@pytest.mark.django_db(transaction=True)
def test_all_else_shows_them_nothing(site: Any, settings: Any, colour: str, unauthenticated: str | None) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "UNAUTHENTICATED_USER": unauthenticated}
    world = World("other")
    uuids, stranger, before = world.uuids(), Caller(colour=colour, token=""), rows()
    told = {}
    for method, where, body in REQUESTS:
        url, sent = f"/api/{where}", body or "{}"
        for name, uuid in uuids.items():
            url, sent = url.replace(f"<{name}>", uuid), sent.replace(f"<{name}>", uuid)
        reply = stranger._send(method, url, sent.encode(), JSON, {})
        assert SECRET.encode() not in reply.body
        told[f"{method} {where}"] = (reply.status, reply.body if method == "GET" else b"")
    settled()
    assert {status for status, _ in told.values()} - {told["POST chat-tools/execute/"][0]} <= {200, 401, 403, 404}
    lists = {request: answer for request, answer in told.items() if request.startswith("GET") and answer[0] == 200}
    assert {request for request, (_, body) in lists.items() if body != b"[]"} == PUBLIC
    assert [told[request][0] for request in THEIRS] == [401, 404, 404, 404, 404]
    assert {**rows(), "Budget": []} == {**before, "Budget": []}


PUBLIC = {"GET chat-threads/stats/", "GET chat/config/", "GET chat/health/", "GET chat/ready/"}
THEIRS = (
    "POST chat-threads/",
    "GET chat-sessions/current/",
    "DELETE chat-sessions/current/",
    "GET chat-sessions/current/export/",
    "GET chat-quota/usage/",
)


def test_the_python_api_takes_them_for_nobody(user: Any, site: Any) -> None:
    assert chat.invoke("Hi", user=AnonymousUser()).text == "Hello"
    assert async_to_sync(chat.ainvoke)("Hi", user=AnonymousUser()).text == "Hello"
    assert stored() == [0, 0, 0, 0]


@pytest.mark.parametrize("user", [None, AnonymousUser(), Guest(None), Guest(5), object()])
def test_who_is_not_known(user: object) -> None:
    assert not users.is_known(user)
