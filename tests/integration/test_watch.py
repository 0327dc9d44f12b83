"""Turns of this process are stopped from anywhere and kept alive; those of dead processes are ended."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from tests.integration.chatting import USAGE, until
from tests.integration.dying import seen_unchanged
from tests.integration.stored import thread_of, turn_in
from waldur_chat import chat
from waldur_chat.engine.event_log import EventLog
from waldur_chat.events import Cancelled, Delta, Started
from waldur_chat.models import Piece, Turn
from waldur_chat.record import TurnRecord
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.store.turns import finish, interruption, leases, partials
from waldur_chat.testing import scripted
from waldur_chat.turns import heartbeat, reaper
from waldur_chat.turns.heartbeat import Heartbeat, TrackedTurn

pytestmark = pytest.mark.core


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Watches that look often."""
    monkeypatch.setattr(heartbeat, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(heartbeat, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(heartbeat, "IDLE_POLL_SECONDS", 0.02)
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(reaper, "LOOK_SECONDS", 0.02)


@pytest.fixture
def watching(user: Any, quick: None) -> Any:
    """A watch of one stored turn, which has used something."""
    one = Heartbeat()
    row = turn_in(thread_of(user), user=user)
    one.add(row.uuid.hex, running(row))
    yield SimpleNamespace(watch=one, row=row)
    one.discard(row.uuid.hex)
    until(lambda: not one._thread.runs)


def running(row: Turn, log: EventLog | None = None) -> TrackedTurn:
    """What a watch needs of a turn."""
    record = TurnRecord(turn=row.uuid.hex, model="m", request_id="", user_id="")
    return TrackedTurn(record=record, usage=lambda: USAGE, log=log)


def lives(row: Turn) -> bool:
    """Whether the store was told that it still runs."""
    return bool(Turn.objects.filter(pk=row.pk, status="running", expires__gt=timezone.now()).exists())


def test_a_turn_that_another_process_wants_stopped_stops_within_a_second(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    with scripted("Hello", 60):
        events = chat.stream("Hi", user=user)
        started = next(events)
        assert isinstance(started, Started)
        leases.request_turn_cancel(started.turn)
        began = time.monotonic()
        assert isinstance(list(events)[-1], Cancelled)
        assert time.monotonic() < began + 10  # On a busy machine, too.
    assert Turn.objects.get().status == "cancelled"


def test_of_a_turn_that_has_not_begun_no_usage_is_known() -> None:
    record = TurnRecord(turn="1", model="m", request_id="", user_id="")
    assert TrackedTurn(record=record).lease_update() == leases.LeaseUpdate(model="m", usage=None)


def test_the_lease_of_a_running_turn_is_renewed(watching: Any) -> None:
    until(lambda: lives(watching.row))
    assert Turn.objects.get().expires > timezone.now() + timedelta(seconds=leases.LEASE_SECONDS - 5)


def test_what_a_running_turn_asks_and_has_used_so_far_is_stored(watching: Any) -> None:
    until(lambda: Turn.objects.get().output_tokens)
    turn = Turn.objects.get()
    assert (turn.model, turn.input_tokens, turn.output_tokens) == ("m", 7, 5)


def test_the_turn_of_a_title_has_not_used_what_its_answer_has(watching: Any) -> None:
    title = turn_in(watching.row.thread, purpose="title")
    watching.watch.add(title.uuid.hex, TrackedTurn())
    until(lambda: lives(title))
    watching.watch.discard(title.uuid.hex)
    assert Turn.objects.get(pk=title.pk).output_tokens == 0


def test_turns_of_dead_processes_are_ended(watching: Any) -> None:
    dead = turn_in(None)
    seen_unchanged(dead)
    until(lambda: not Turn.objects.filter(pk=dead.pk, status="running").exists())
    assert lives(watching.row)


def test_turns_that_cannot_be_ended_do_not_keep_the_others_from_being_looked_after(
    watching: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(dead: Any, runs_here: Any) -> int:
        raise OperationalError("gone")

    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(interruption, "interrupt", failing)
    seen_unchanged(turn_in(None))
    until(lambda: "Turns whose process died could not be ended: OperationalError" in caplog.messages)
    until(lambda: lives(watching.row))


def test_a_long_list_of_dead_turns_keeps_no_running_one_waiting(watching: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly, begun = threading.Event(), threading.Event()

    def slow(dead: Any, runs_here: Any) -> int:
        begun.set()
        slowly.wait(10)
        return 0

    monkeypatch.setattr(interruption, "interrupt", slow)
    seen_unchanged(turn_in(None))
    try:
        assert begun.wait(10)
        Turn.objects.filter(pk=watching.row.pk).update(expires=timezone.now())
        until(lambda: lives(watching.row))
    finally:
        slowly.set()


def test_text_is_flushed_although_leases_cannot_be_renewed(
    user: Any, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(updates: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(leases, "renew", failing)
    one, log, row = Heartbeat(), EventLog(), turn_in(thread_of(user), user=user)
    monkeypatch.setattr(heartbeat, "RENEW_SECONDS", 1.0)
    monkeypatch.setattr(heartbeat, "POLL_SECONDS", 1.0)
    log.add(Delta(text="Hello"))
    one.add(row.uuid.hex, running(row, log))
    until(Piece.objects.exists)
    one.discard(row.uuid.hex)
    until(lambda: not one._thread.runs)


def test_a_database_that_fails_is_asked_again(
    watching: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[None] = []
    found = leases.cancelled_turns

    def failing() -> list[str]:
        calls.append(None)
        if len(calls) < 3:
            raise OperationalError("gone")
        return found()

    caplog.set_level(logging.ERROR)
    monkeypatch.setattr(leases, "cancelled_turns", failing)
    until(lambda: len(calls) > 3)
    assert "Running turns could not be updated: OperationalError" in caplog.messages


def test_a_watch_with_nothing_to_do_ends_its_thread(watching: Any) -> None:
    def threads() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name == "waldur-chat-heartbeat"}

    before = threads()
    watching.watch.discard(watching.row.uuid.hex)
    until(lambda: not watching.watch._thread.runs)
    until(lambda: before - threads())


def test_a_watch_begins_again_with_the_next_turn(watching: Any) -> None:
    watching.watch.discard(watching.row.uuid.hex)
    until(lambda: not watching.watch._thread.runs)
    watching.watch.add(watching.row.uuid.hex, running(watching.row))
    until(lambda: lives(watching.row))


def test_a_turn_that_has_ended_is_not_renewed(user: Any) -> None:
    row = turn_in(thread_of(user), user=user)
    finish.finish_turn(row.uuid.hex, finish.TurnOutcome(status="finished"))
    leases.renew({row.uuid.hex: leases.LeaseUpdate(usage=USAGE)})
    assert Turn.objects.get().output_tokens == 0


def test_what_running_turns_say_is_written_once(user: Any, quick: None) -> None:
    one, log = Heartbeat(), EventLog()
    row = turn_in(thread_of(user), user=user)
    log.add(Delta(text="Hel"))
    one.add(row.uuid.hex, running(row, log))
    until(lambda: Piece.objects.count() == 1)
    log.add(Delta(text="lo"))
    until(lambda: Piece.objects.count() == 2)
    one.discard(row.uuid.hex)
    one.finish_flush()
    log.add(Delta(text="!"))
    until(lambda: not one._thread.runs)
    assert list(Piece.objects.values_list("turn", "position", "text")) == [(row.pk, 0, "Hel"), (row.pk, 3, "lo")]


def test_what_could_not_be_written_is_written_later(user: Any, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one, log, calls = Heartbeat(), EventLog(), []
    row = turn_in(thread_of(user), user=user)
    log.add(Delta(text="Hello"))
    write = partials.write

    def failing(written: Any) -> None:
        calls.append(None)
        if len(calls) < 3:
            raise OperationalError("gone")
        write(written)

    monkeypatch.setattr(partials, "write", failing)
    one.add(row.uuid.hex, running(row, log))
    until(Piece.objects.exists)
    one.discard(row.uuid.hex)
    until(lambda: not one._thread.runs)
    assert Piece.objects.get().text == "Hello"


def test_a_process_without_turns_ends_those_of_dead_ones_for_a_while(watching: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(heartbeat, "LINGER_SECONDS", 60.0)
    watching.watch.discard(watching.row.uuid.hex)
    dead = turn_in(None)
    seen_unchanged(dead)
    until(lambda: not Turn.objects.filter(pk=dead.pk, status="running").exists())
    monkeypatch.setattr(heartbeat, "LINGER_SECONDS", 0.0)


def test_tenants_are_looked_after_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "LINGER_SECONDS", 600.0)
    assert Heartbeat()._linger_seconds() > Heartbeat(Tenant("red", None))._linger_seconds() > 0
