"""The same request twice is one turn: it is asked, stored and paid for once, and both get its answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from tests.integration.chatting import settled
from tests.integration.conftest import Caller
from tests.integration.rest import Person
from tests.integration.stored import turn_in
from tests.integration.test_rejoining import text
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.errors import ProviderBusy
from waldur_chat.messages import Question
from waldur_chat.models import Message, Session, Thread, Turn
from waldur_chat.testing import scripted
from waldur_chat.turns import start, turn_request

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]

HI = {"input": "Hi"}
KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


def test_a_repeated_question_gets_the_answer_of_the_first(call: Caller) -> None:
    with scripted("Hello") as provider:
        replies = [call.invoke(HI, Idempotency_Key=KEY) for _ in range(3)]
        stream = call.stream(HI, Idempotency_Key=KEY)
    assert [reply.json for reply in replies] == ["Hello"] * 3
    assert text(stream) == "Hello"
    assert provider.opened == 1
    assert {reply.headers["X-Chat-Turn"] for reply in (*replies, stream)} == {Turn.objects.get().uuid.hex}
    assert Message.objects.count() == 2


def test_other_keys_and_no_keys_are_other_questions(call: Caller) -> None:
    with scripted("Hello") as provider:
        call.invoke(HI, Idempotency_Key="a")
        call.invoke(HI, Idempotency_Key="b")
        call.invoke(HI)
        call.invoke(HI)
    assert provider.opened == 4


def test_a_key_is_its_users_own(call: Caller) -> None:
    bob = Person("bob")
    with scripted("Hello") as provider:
        call.invoke(HI, Idempotency_Key=KEY)
        bob.client.post("/api/chat/invoke/", HI, "application/json", headers={"Idempotency-Key": KEY})
    assert provider.opened == 2


@pytest.mark.parametrize("other", [{"input": "Bye"}, {"input": "Hi", "mode": "reload"}, {}])
def test_a_key_of_another_question_is_refused(call: Caller, other: dict[str, str]) -> None:
    with scripted("Hello") as provider:
        call.invoke(HI, Idempotency_Key=KEY)
        thread = Turn.objects.get().thread
        assert thread
        given = {**other, "thread_uuid": thread.uuid.hex} if other else other
        reply = call.invoke(given, Idempotency_Key=KEY)
    assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")
    assert provider.opened == 1


def test_a_key_has_an_end(call: Caller) -> None:
    reply = call.invoke(HI, Idempotency_Key="x" * 256)
    assert (reply.status, "Idempotency-Key" in reply.json) == (400, True)


def test_one_that_comes_while_the_first_is_answered_joins_it(call: Caller) -> None:
    def ask(_: int) -> str:
        try:
            return str(call.invoke(HI, Idempotency_Key=KEY).json)
        finally:
            connections.close_all()

    with scripted("Hel", 0.5, "lo") as provider, ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == ["Hello"] * 4
        assert provider.opened == 1


def test_one_that_comes_in_the_same_moment_joins_it(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    question = Question(text="Hi")
    turn = turn_in(None, user=user, key=KEY, fingerprint=turn_request.fingerprint(question))
    found = start.find_by_idempotency_key
    seen: list[None] = []

    def late(*args: Any) -> Any:
        seen.append(None)
        if len(seen) == 1:
            return None
        turn.thread = Thread.objects.create(session=Session.objects.get_or_create(user=user)[0])
        turn.save()
        return found(*args)

    monkeypatch.setattr(start, "find_by_idempotency_key", late)
    view = chat.open_turn(question, chat.load(), user=user, key=KEY)
    assert view.id == turn.uuid.hex


def test_one_that_failed_has_failed(call: Caller) -> None:
    with scripted(ProviderBusy()) as provider:
        replies = [ask(HI, Idempotency_Key=KEY) for ask in (call.invoke, call.invoke, call.stream)]
    assert [(reply.status, reply.json["code"]) for reply in replies] == [(503, "provider_busy")] * 3
    assert provider.opened == 1


def test_one_that_was_cancelled_was_cancelled(call: Caller) -> None:
    with scripted("Hello"):
        call.invoke(HI, Idempotency_Key=KEY)
    Turn.objects.update(status="cancelled", answer=None)
    for reply in (call.invoke(HI, Idempotency_Key=KEY), call.stream(HI, Idempotency_Key=KEY)):
        assert (reply.status, reply.json["code"]) == (409, "cancelled")


def test_where_nothing_is_stored_a_key_means_nothing(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    with scripted("Hello") as provider:
        call.invoke(HI, Idempotency_Key=KEY)
        call.invoke(HI, Idempotency_Key=KEY)
    assert provider.opened == 2


def test_the_python_api_knows_no_keys(user: Any) -> None:
    with scripted("Hello"):
        assert str(async_to_sync(chat.ainvoke)("Hi", user=user)) == "Hello"
    settled()
    assert Turn.objects.get().key is None
