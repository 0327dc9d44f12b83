"""A connection that was lost without a word holds up one thread; what keeps and follows turns goes on in another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError

from tests.integration.chatting import until
from tests.integration.dying import seen_unchanged
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import chat
from waldur_chat.engine.event_log import EventLog
from waldur_chat.events import Delta
from waldur_chat.models import Message, Piece, Turn
from waldur_chat.record import TurnRecord
from waldur_chat.runtime import supervised_thread, worker
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns import finish, interruption, partials, replays
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.testing import scripted
from waldur_chat.turns import follower, heartbeat, reaper, recorder
from waldur_chat.turns.heartbeat import Heartbeat, TrackedTurn
from waldur_chat.turns.reaper import reaper_of_process
from waldur_chat.turns.resume import TurnSubscription

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_thread, "POLL_SECONDS", 0.02)
    for module in (worker, follower, reaper, heartbeat):
        monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)


class Lost:
    """A connection that is lost: who asks by it stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._set = monkeypatch.setattr
        self._found = threading.Event()
        self._threads: list[threading.Thread] = []

    def __call__(self, module: Any, name: str, *, fails: bool = True) -> threading.Event:
        """Let the first call of this function stand still until it is found again; tells when that has begun."""
        does, begun = getattr(module, name), threading.Event()

        def losing(*args: Any, **named: Any) -> Any:
            if not begun.is_set():
                begun.set()
                self._threads.append(threading.current_thread())
                self._found.wait(20)
                if fails:
                    raise OperationalError("The connection is lost.")
            return does(*args, **named)

        self._set(module, name, losing)
        return begun

    def find(self) -> None:
        """Let those who stand still go on. They are left behind, and end."""
        self._found.set()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lost]:
    """See Lost; found at the end of the test."""
    made = Lost(monkeypatch)
    yield made
    made.find()


def test_an_answer_is_stored_by_another_thread(user: Any, lost: Lost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "_worker", worker.Worker("waldur-chat-test"))
    begun = lost(finish, "finish_turns")
    with scripted("Hello"):
        answer = list(chat.stream("Hi", user=user))[-1]
    assert begun.is_set()
    assert answer.stored.answer == Message.objects.get(role="assistant").uuid.hex
    assert Turn.objects.get().status == "finished"


def test_what_running_turns_say_is_written_by_another_thread(
    user: Any, lost: Lost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "FLUSH_SECONDS", 0.02)
    one, log, row = Heartbeat(), EventLog(), turn_in(thread_of(user), user=user)
    begun = lost(partials, "write")
    log.add(Delta(text="Hello"))
    record = TurnRecord(turn=row.uuid.hex, model="m", request_id="", user_id="")
    one.add(row.uuid.hex, TrackedTurn(record=record, log=log))
    assert begun.wait(10)
    one.discard(row.uuid.hex)
    one.finish_flush()
    one.add(row.uuid.hex, TrackedTurn(record=record, log=log))
    until(Piece.objects.exists)
    one.discard(row.uuid.hex)
    until(lambda: not one._thread.runs)
    assert Piece.objects.get().text == "Hello"


@pytest.mark.parametrize("fails", [True, False])
def test_readers_are_told_by_another_thread_and_only_once(
    user: Any, lost: Lost, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    row = turn_in(thread_of(user, "Hi"), user=user, answer_index=1, question=Message.objects.get())
    follower.follower_of_process.reset()
    view = TurnSubscription(replays.find_for_user(user, row.uuid))
    begun = lost(replays, "find_running", fails=fails)
    view.start(background_loop())
    view.take_blocking(0)
    assert begun.wait(10)
    finish.finish_turn(row.uuid.hex, TurnOutcome(status="finished", text="Hello"))
    events = list(view.take_blocking(10))
    while not chat.ended(events):
        events += view.take_blocking(10)
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "Hello"
    assert view._reader
    lost.find()
    assert view._reader.log.text.since(0) == "Hello"


def test_dead_turns_are_ended_by_another_thread(user: Any, lost: Lost) -> None:
    seen_unchanged(turn_in(None))
    clearing = reaper_of_process()
    begun = lost(interruption, "interrupt")
    clearing.look()
    assert begun.wait(10)
    until(lambda: not Turn.objects.filter(status="running").exists())
    until(lambda: not clearing._thread.runs)
