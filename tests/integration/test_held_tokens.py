"""What is held for running turns follows what they use; what is reported of them is kept for later ones."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
from django.db import OperationalError

from tests.integration.chatting import USAGE, only_thread, settled, titling, until
from waldur_chat import chat
from waldur_chat.events import Started, Usage
from waldur_chat.models import Budget, TokenRatio, Turn
from waldur_chat.store.budgets import growth, token_estimates
from waldur_chat.store.turns.finish import TurnOutcome, finish_turn
from waldur_chat.testing import scripted
from waldur_chat.turns.held_tokens import reports_of_process

pytestmark = pytest.mark.core
WORDS = ["word "] * 100


@pytest.fixture(autouse=True)
def limited(settings: Any) -> None:
    """Users have limits, and turns are stored."""
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10_000, "STORAGE": True}


def held(user: Any) -> int:
    """What a user's account holds."""
    return Budget.objects.get(user=user).reserved


def test_what_is_held_grows_with_the_answer(user: Any) -> None:
    with scripted(*WORDS, 60):
        events = chat.stream("Hi", user=user)
        next(events)
        until(lambda: held(user) == 2 + 16 + 125 + 32)
        assert Turn.objects.get().reserved == held(user)
        events.close()
        settled()
    assert held(user) == 0


def test_a_report_takes_the_place_of_what_was_guessed(user: Any) -> None:
    with scripted(Usage(input_tokens=500, output_tokens=10), "Hello", 60):
        events = chat.stream("Hi", user=user)
        next(events)
        until(lambda: 510 + 64 <= held(user) <= 512 + 64)  # It may grow before "Hello", or within it.
        events.close()
        settled()


def test_a_turn_that_was_taken_for_dead_may_end(user: Any) -> None:
    with scripted("Hi ", 0.5, *WORDS):
        events = chat.stream("Hi", user=user)
        started = next(events)
        assert isinstance(started, Started)
        finish_turn(started.turn, TurnOutcome(status="interrupted", text="Hi"))
        list(events)
    assert (Turn.objects.get().status, held(user)) == ("finished", 0)


def test_an_answer_continues_while_the_database_fails(
    user: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures: list[None] = []
    resize = growth.resize

    def failing(*args: Any) -> Any:
        failures.append(None)
        if len(failures) < 3:
            raise OperationalError("gone")
        return resize(*args)

    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(growth, "resize", failing)
    with scripted(*WORDS):
        assert chat.invoke("Hi", user=user).reason == "stop"
    assert "Running turns could not be updated: OperationalError" in caplog.messages


def test_a_title_holds_more_while_it_is_written(user: Any) -> None:
    may_end = threading.Event()
    with titling(*["w " * 4] * 100, may_end):
        chat.invoke("Hi", user=user)
        until(lambda: Turn.objects.get(purpose="title").reserved > 300)
        may_end.set()
        settled()
    assert held(user) == 0


def test_a_title_ends_where_nothing_is_left(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 800, "STORAGE": True}
    with titling(*["w " * 100] * 15):
        chat.invoke("Hi", user=user)
        assert only_thread().name == "Hi"
    assert Budget.objects.get(user=user).daily_tokens < 900


def test_reports_are_kept_for_later_estimates(user: Any) -> None:
    with scripted("Hello", USAGE):
        chat.invoke("Hi", user=user)
    reports_of_process().store()
    assert sorted(TokenRatio.objects.values_list("model", "kind", "reports")) == [("", 0, 1), ("", 11, 1)]


def test_what_was_not_reported_is_not_kept(user: Any) -> None:
    with scripted("Hello"):
        chat.invoke("Hi", user=user)
    reports_of_process().store()
    assert not TokenRatio.objects.exists()


def test_a_prompt_of_no_tokens_is_no_report(user: Any) -> None:
    with scripted(Usage(input_tokens=0, output_tokens=0), "Hello"):
        chat.invoke("Hi", user=user)
    reports_of_process().store()
    assert not TokenRatio.objects.exists()


def test_reports_outlive_a_database_that_fails(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(reports: Any) -> None:
        raise OperationalError("gone")

    with scripted("Hello", USAGE):
        chat.invoke("Hi", user=user)
    with monkeypatch.context() as failure:
        failure.setattr(token_estimates, "add", failing)
        with pytest.raises(OperationalError):
            reports_of_process().store()
    reports_of_process().store()
    assert TokenRatio.objects.count() == 2
