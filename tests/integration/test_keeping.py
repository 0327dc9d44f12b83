"""What a turn leaves behind is stored before its reader is told of the end, and its reader is told in any case."""

from __future__ import annotations

import threading
from typing import Any
from unittest import mock

import pytest
from django.db import DataError, Error, OperationalError
from django.db.models import F
from django.utils import timezone

from tests.integration.chatting import USAGE, only_thread, settled, until
from waldur_chat import chat
from waldur_chat.errors import ProviderBusy
from waldur_chat.events import Cancelled, Failed, Finished, Started, StoredMessages
from waldur_chat.models import Message, Turn
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import finish, leases
from waldur_chat.testing import scripted
from waldur_chat.turns import recorder
from waldur_chat.turns.heartbeat import heartbeat_of_process

pytestmark = pytest.mark.core

QUESTION = "What is a VPC?"


@pytest.fixture(autouse=True)
def _stored(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WALDUR_CHAT = {"ATTEMPTS": 1, "STORAGE": True}
    monkeypatch.setattr(recorder, "RETRY_SECONDS", (0.01, 0.01))


def failing(times: int, monkeypatch: pytest.MonkeyPatch, error: type[Error] = OperationalError) -> mock.Mock:
    """Let the database fail so often when a turn is to end, and then no more."""
    act = mock.Mock(side_effect=[error("The disk is full.")] * times + [mock.DEFAULT], wraps=finish.finish_turns)
    monkeypatch.setattr(finish, "finish_turns", act)
    return act


def asked(*steps: Any, user: Any) -> Any:
    """How a turn ends whose provider does this."""
    with scripted(*steps):
        return list(chat.stream(QUESTION, user=user))[-1]


def test_question_and_answer_are_stored_before_the_end_is_told(user: Any) -> None:
    end = asked("Hello", USAGE, user=user)
    question, answer = Message.objects.order_by("sequence_index")
    assert (question.role, question.text, answer.role, answer.text) == ("user", QUESTION, "assistant", "Hello")
    assert end == Finished(
        reason="stop", usage=USAGE, stored=StoredMessages(question=question.uuid.hex, answer=answer.uuid.hex)
    )


def test_a_turn_that_finished_is_stored_as_finished(user: Any) -> None:
    asked("Hello", user=user)
    turn = Turn.objects.get()
    assert (turn.status, turn.code, turn.answer) == ("finished", "", Message.objects.get(role="assistant"))


def test_a_turn_that_failed_is_stored_with_its_code_and_what_was_said(user: Any) -> None:
    assert isinstance(asked("Hel", ProviderBusy(), user=user), Failed)
    turn = Turn.objects.get()
    assert (turn.status, turn.code, turn.answer.text) == ("failed", ProviderBusy.code, "Hel")


def test_a_turn_that_was_cancelled_is_stored_with_what_was_said(user: Any) -> None:
    with scripted("Hel", 60):
        events = chat.stream(QUESTION, user=user)
        started = next(events)
        assert isinstance(started, Started)
        until(lambda: chat.cancel(started.turn))
        assert isinstance(list(events)[-1], Cancelled)
    turn = Turn.objects.get()
    assert (turn.status, turn.code) == ("cancelled", "cancelled")
    assert turn.answer.text == "Hel"


def test_the_reader_gets_an_answer_that_cannot_be_stored(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    act = failing(3, monkeypatch)
    with scripted("Hello"):
        assert str(chat.invoke(QUESTION, user=user)) == "Hello"
    until(lambda: act.call_count == 3)
    assert not Message.objects.filter(role="assistant").exists()


def test_an_answer_that_was_not_stored_has_no_place(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    act = failing(3, monkeypatch)
    assert asked("Hello", user=user).stored is None
    until(lambda: act.call_count == 3)


def test_what_the_database_did_not_take_at_first_is_stored_then(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    act = failing(1, monkeypatch)
    assert asked("Hello", user=user).stored.answer == Message.objects.get(role="assistant").uuid.hex
    assert act.call_count == 2


def test_what_the_database_did_not_take_for_longer_is_stored_later(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(2, monkeypatch)
    assert asked("Hello", user=user).stored is None
    until(lambda: Message.objects.filter(role="assistant").exists())


def test_until_then_it_counts_as_running(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "RETRY_SECONDS", (0.01, 60.0))
    monkeypatch.setattr(recorder, "POLL_SECONDS", 0.01)
    away = threading.Event()
    renew, act = leases.renew, failing(2, monkeypatch)

    def renewing(turns: Any) -> None:
        if away.is_set():
            raise OperationalError("gone")
        waiting = Turn.objects.filter(uuid__in=turns)
        waiting.update(expires=F("started"))  # Here, and not while somebody looks for those whose lease is over.
        renew(turns)
        assert not waiting.filter(expires__lte=timezone.now()).exists()
        renewed.update(turns)

    renewed = set[str]()
    monkeypatch.setattr(leases, "renew", renewing)
    assert asked("Hello", user=user).stored is None
    renewed.clear()
    until(lambda: Turn.objects.get().uuid.hex in renewed)
    assert (Turn.objects.get().status, act.call_count) == ("running", 2)
    away.set()
    watching = heartbeat_of_process()
    until(lambda: watching._is_failing)
    away.clear()
    until(lambda: Message.objects.filter(role="assistant").exists())


def test_what_no_waiting_mends_is_given_up_soon(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "RETRY_SECONDS", (0.01, 0.01, 0.01, 0.01, 0.01))
    act = failing(100, monkeypatch, DataError)
    assert asked("Hello", user=user).stored is None
    until(lambda: act.call_count == 4)
    until(lambda: Turn.objects.get().uuid.hex not in heartbeat_of_process()._turns)
    assert act.call_count == 4


def test_when_the_process_ends_it_is_tried_once_more(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: set[Any] = set()
    monkeypatch.setattr(recorder, "_background", kept)  # What other tests have left behind is not of interest.
    monkeypatch.setattr(recorder, "RETRY_SECONDS", (0.01, 60.0))
    failing(2, monkeypatch)
    assert asked("Hello", user=user).stored is None
    until(lambda: len(kept) == 1)
    (waiting,) = kept
    background_loop().call_soon_threadsafe(waiting.cancel)
    until(lambda: Message.objects.filter(role="assistant").exists())


def test_a_database_that_is_slow_does_not_keep_the_reader_waiting(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    is_open = threading.Event()
    end = finish.finish_turns
    monkeypatch.setattr(finish, "finish_turns", lambda *args: is_open.wait(10) and end(*args))
    monkeypatch.setattr(recorder, "RECORDING_SECONDS", 0.05)
    assert asked("Hello", user=user).stored is None
    assert Turn.objects.get().status == "running"
    is_open.set()
    settled()
    assert Message.objects.filter(text="Hello").exists()


def test_usage_and_model_are_stored_with_the_turn(user: Any) -> None:
    asked("Hello", USAGE, user=user)
    turn = Turn.objects.get()
    assert (turn.input_tokens, turn.output_tokens, turn.is_estimated) == (7, 5, False)
    assert only_thread().total_tokens == 12


def test_a_turn_that_used_nothing_is_stored_with_nothing(user: Any) -> None:
    asked(ProviderBusy(), user=user)
    turn = Turn.objects.get()
    assert (turn.status, turn.input_tokens, turn.output_tokens) == ("failed", 0, 0)
