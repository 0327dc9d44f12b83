"""The turns that run in this process: to cancel one by its id, and to end all when the server is told to stop.

While turns run, the server is asked ten times a second whether it is stopping (`runtime.shutdown`).
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

LOOK_SECONDS = 0.1


class SupportsShutdown(Protocol):
    """What has to end when the server stops."""

    def wind_down(self, stopping_for: float) -> None: ...


class Running(SupportsShutdown, Protocol):
    """What is needed of a turn."""

    id: str

    @property
    def log(self) -> EventLog: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    def cancel(self) -> None: ...

    def reader_left(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class _Registry:
    """What runs on each event loop of this process, and since when its server is stopping."""

    turns: dict[asyncio.AbstractEventLoop, dict[str, Running]] = field(default_factory=dict)
    subscriptions: dict[asyncio.AbstractEventLoop, set[SupportsShutdown]] = field(default_factory=dict)
    stopping_since: float | None = None


registry = PerProcess(_Registry)


def add(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn begins on the loop, which is running."""
    _look_after(loop)
    registry().turns[loop][turn.id] = turn


def discard(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn of the loop has ended."""
    registry().turns.get(loop, {}).pop(turn.id, None)


def add_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """Somebody on the loop, which is running, begins to read a turn of another process."""
    _look_after(loop)
    registry().subscriptions[loop].add(subscription)


def discard_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """The reader has left."""
    registry().subscriptions.get(loop, set()).discard(subscription)


def cancel(turn_id: str) -> bool:
    """Stop a turn of this process; False where it does not run here."""
    turn = find(turn_id)
    if turn:
        turn.cancel()
    return turn is not None


def find(turn_id: str) -> Running | None:
    """A turn of this process; None where it does not run here."""
    found = (turns.get(turn_id) for turns in list(registry().turns.values()))
    return next((turn for turn in found if turn), None)


def wait_for_the_last(loop: asyncio.AbstractEventLoop) -> None:
    """Where the server has stopped, wait until all turns of this loop, which another thread runs, have ended."""
    has_turns = shutdown.server_is_stopping()
    while has_turns:
        has_turns = bool(registry().turns.get(loop))
        time.sleep(LOOK_SECONDS)  # Once more than there are turns: the last is being recorded.


call_at_exit(wait_for_the_last)


def _look_after(loop: asyncio.AbstractEventLoop) -> None:
    ours = registry()
    if loop not in ours.turns:
        _forget_closed_loops(ours)
        ours.turns[loop], ours.subscriptions[loop] = {}, set()
        loop.call_later(LOOK_SECONDS, _look, loop)


def _look(loop: asyncio.AbstractEventLoop) -> None:
    """Tell those on this loop when the server stops; look again as long as there are any."""
    ours = registry()
    if not ours.turns[loop] and not ours.subscriptions[loop]:
        del ours.turns[loop], ours.subscriptions[loop]
        return
    if shutdown.server_is_stopping():
        ours.stopping_since = ours.stopping_since or time.monotonic()
        for one in (*ours.turns[loop].values(), *ours.subscriptions[loop]):
            one.wind_down(time.monotonic() - ours.stopping_since)
    loop.call_later(LOOK_SECONDS, _look, loop)


def _forget_closed_loops(ours: _Registry) -> None:
    """Several threads may do so at once, each with a loop of its own."""
    for loop in list(ours.turns):
        if loop.is_closed():
            ours.turns.pop(loop, None)
            ours.subscriptions.pop(loop, None)
