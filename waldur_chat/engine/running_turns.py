"""The registry of turns that run in this process, to cancel one by its id and to end all at shutdown.

While turns run, the server is polled ten times a second for whether it is stopping (`runtime.shutdown`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Protocol

from waldur_chat.engine.event_log import EventLog
from waldur_chat.runtime import shutdown
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.loop import call_at_exit

POLL_SECONDS = 0.1


class SupportsShutdown(Protocol):
    """Has to end when the server stops."""

    def on_server_stopping(self, stopping_for: float) -> None: ...


class RunningTurn(SupportsShutdown, Protocol):
    """What the registry and its users need of a turn."""

    id: str

    @property
    def log(self) -> EventLog: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    def cancel(self) -> None: ...

    def reader_left(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Registry:
    """Turns and subscriptions of each event loop, and when the server was first seen stopping."""

    turns: dict[asyncio.AbstractEventLoop, dict[str, RunningTurn]] = field(default_factory=dict)
    subscriptions: dict[asyncio.AbstractEventLoop, set[SupportsShutdown]] = field(default_factory=dict)
    stopping_since: float | None = None


registry = PerProcess(_Registry)


def add(turn: RunningTurn, loop: asyncio.AbstractEventLoop) -> None:
    """Add a turn that begins on this loop, which is running."""
    _ensure_polling(loop)
    registry().turns[loop][turn.id] = turn


def discard(turn: RunningTurn, loop: asyncio.AbstractEventLoop) -> None:
    """Remove a turn that has ended."""
    registry().turns.get(loop, {}).pop(turn.id, None)


def add_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """Add a reader of a turn of another process, on this loop, which is running."""
    _ensure_polling(loop)
    registry().subscriptions[loop].add(subscription)


def discard_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """Remove a reader that has left."""
    registry().subscriptions.get(loop, set()).discard(subscription)


def cancel(turn_id: str) -> bool:
    """Cancel a turn of this process; False if it does not run here."""
    turn = find(turn_id)
    if turn:
        turn.cancel()
    return turn is not None


def find(turn_id: str) -> RunningTurn | None:
    """Return a turn of this process; None if it does not run here."""
    # A copy: other threads add and remove loops.
    found = (turns.get(turn_id) for turns in list(registry().turns.values()))
    return next((turn for turn in found if turn), None)


def wait_for_all_turns(loop: asyncio.AbstractEventLoop) -> None:
    """If the server is stopping, block until all turns of this loop, which another thread runs, have ended."""
    has_turns = shutdown.server_is_stopping()
    while has_turns:
        has_turns = bool(registry().turns.get(loop))
        time.sleep(POLL_SECONDS)  # Once more after the last turn, which is still being recorded.


call_at_exit(wait_for_all_turns)


def _ensure_polling(loop: asyncio.AbstractEventLoop) -> None:
    running = registry()
    if loop not in running.turns:
        _discard_closed_loops(running)
        running.turns[loop], running.subscriptions[loop] = {}, set()
        loop.call_later(POLL_SECONDS, _poll, loop)


def _poll(loop: asyncio.AbstractEventLoop) -> None:
    """Notify turns and subscriptions on this loop when the server stops; repeat while there are any."""
    running = registry()
    if not running.turns[loop] and not running.subscriptions[loop]:
        del running.turns[loop], running.subscriptions[loop]
        return
    if shutdown.server_is_stopping(loop):
        running.stopping_since = running.stopping_since or time.monotonic()
        for one in (*running.turns[loop].values(), *running.subscriptions[loop]):
            one.on_server_stopping(time.monotonic() - running.stopping_since)
    loop.call_later(POLL_SECONDS, _poll, loop)


def _discard_closed_loops(running: _Registry) -> None:
    """Drop loops that were closed. Several threads may do so at once, each for a loop of its own."""
    for loop in list(running.turns):
        if loop.is_closed():
            running.turns.pop(loop, None)
            running.subscriptions.pop(loop, None)
