"""A connection that was lost without a word holds up one thread; what keeps and follows turns goes on in another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError

from tests.integration.chatting import until
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import stores  # noqa: F401  # A fixture.
from waldur_chat import abandoned, chat, follow, keepers, watch
from waldur_chat.abandoned import Clearing
from waldur_chat.engine import background, steady, worker
from waldur_chat.engine.log import Log
from waldur_chat.events import Delta
from waldur_chat.follow import Follower
from waldur_chat.models import Message, Piece, Turn
from waldur_chat.store import endings, pieces, replays
from waldur_chat.store.endings import Ending
from waldur_chat.testing import scripted
from waldur_chat.viewing import Viewing
from waldur_chat.watch import Watch, Watched

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "LOOK_SECONDS", 0.02)
    for module in (worker, follow, abandoned, watch):
        monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.2)


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, str], threading.Event]]:
    """Let the first call of a function stand still until the test is over, and fail then."""
    found, threads = threading.Event(), []

    def lose(module: Any, name: str) -> threading.Event:
        does, begun = getattr(module, name), threading.Event()

        def losing(*args: Any, **named: Any) -> Any:
            if begun.is_set():
                return does(*args, **named)
            begun.set()
            threads.append(threading.current_thread())
            found.wait(20)
            raise OperationalError("The connection is lost.")

        monkeypatch.setattr(module, name, losing)
        return begun

    yield lose
    found.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive(), "who was left behind ends"


def test_an_answer_is_stored_by_another_thread(user: Any, lost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keepers, "_worker", worker.Worker("waldur-chat-test"))
    begun = lost(endings, "end_all")
    with scripted("Hello"):
        answer = list(chat.stream("Hi", user=user))[-1]
    assert begun.is_set()
    assert answer.stored.answer == Message.objects.get(role="assistant").uuid.hex
    assert Turn.objects.get().status == "finished"


def test_what_running_turns_say_is_written_by_another_thread(
    user: Any, lost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "FLUSH_SECONDS", 0.02)
    one, log, row = Watch(), Log(), turn_in(thread_of(user), user=user)
    begun = lost(pieces, "write")
    log.add(Delta(text="Hello"))
    record = SimpleNamespace(model="m")
    turn: Any = SimpleNamespace(id=row.uuid.hex, used=lambda: None, record=record)
    one.add(row.uuid.hex, Watched(turn=turn, log=log, row=row.pk))
    assert begun.wait(10)
    one.discard(row.uuid.hex)
    one.finish_flush()
    one.add(row.uuid.hex, Watched(turn=turn, log=log, row=row.pk))
    until(Piece.objects.exists)
    one.discard(row.uuid.hex)
    until(lambda: not one._steady.runs)
    assert Piece.objects.get().text == "Hello"


def test_readers_are_told_by_another_thread(user: Any, lost: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = turn_in(thread_of(user, "Hi"), user=user, answer_index=1, question=Message.objects.get())
    monkeypatch.setattr(follow, "_follower", Follower())
    view = Viewing(replays.of_user(user, row.uuid))
    begun = lost(replays, "of_rows")
    view.start(background.loop())
    view.take_blocking(0)
    assert begun.wait(10)
    endings.end(row.uuid.hex, Ending(status="finished", text="Hello"))
    events = list(view.take_blocking(10))
    while not chat.ended(events):
        events += view.take_blocking(10)
    assert "".join(event.text for event in events if isinstance(event, Delta)) == "Hello"


def test_dead_turns_are_ended_by_another_thread(user: Any, lost: Any) -> None:
    turn_in(None)
    clearing = Clearing()
    begun = lost(endings, "end_abandoned")
    clearing.look()
    assert begun.wait(10)
    until(lambda: not Turn.objects.filter(status="running").exists())
    until(lambda: not clearing._steady.runs)
