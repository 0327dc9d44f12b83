"""The turns that run in this process: to cancel one by its id, and to end all when the server is told to stop.

Nothing is installed for the latter. gunicorn's workers and uvicorn's servers handle SIGTERM with a method of their own,
and the object that it belongs to says whether it is stopping; while turns run, it is asked ten times a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from typing import Protocol

from waldur_chat.engine.event_log import Log
from waldur_chat.runtime import shortcuts

LOOK_SECONDS = 0.1


class SupportsShutdown(Protocol):
    """What has to end when the server stops."""

    def wind_down(self, stopping_for: float) -> None: ...


class Running(SupportsShutdown, Protocol):
    """What is needed of a turn."""

    id: str

    @property
    def log(self) -> Log | None: ...

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None: ...

    def cancel(self) -> None: ...

    def reader_left(self) -> None: ...


_loops: dict[asyncio.AbstractEventLoop, dict[str, Running]] = {}
_subscriptions: dict[asyncio.AbstractEventLoop, set[SupportsShutdown]] = {}
_stopping_since: float | None = None


def add(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn begins on the loop, which is running."""
    _look_after(loop)
    _loops[loop][turn.id] = turn


def discard(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn of the loop has ended."""
    _loops.get(loop, {}).pop(turn.id, None)


def add_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """Somebody on the loop, which is running, begins to read a turn of another process."""
    _look_after(loop)
    _subscriptions[loop].add(subscription)


def discard_subscription(subscription: SupportsShutdown, loop: asyncio.AbstractEventLoop) -> None:
    """He has left."""
    _subscriptions.get(loop, set()).discard(subscription)


def cancel(turn_id: str) -> bool:
    """Stop a turn of this process; False where it does not run here."""
    turn = find(turn_id)
    if turn:
        turn.cancel()
    return turn is not None


def find(turn_id: str) -> Running | None:
    """A turn of this process; None where it does not run here."""
    found = (turns.get(turn_id) for turns in list(_loops.values()))
    return next((turn for turn in found if turn), None)


def server_is_stopping() -> bool:
    """Whether the server that this process runs in was told to stop; False also where it does not tell."""
    server = _server()
    return getattr(server, "alive", True) is False or getattr(server, "should_exit", False) is True


def hold(task: asyncio.Task[None]) -> None:
    """Let the server, when it stops, wait for a task of its event loop that belongs to no request; uvicorn can."""
    held = getattr(getattr(_server(), "server_state", None), "tasks", None)
    if isinstance(held, set) and threading.current_thread() is threading.main_thread():
        held.add(task)
        task.add_done_callback(held.discard)


def wait_for_the_last(loop: asyncio.AbstractEventLoop) -> None:
    """Where the server has stopped, wait until all turns of this loop, which another thread runs, have ended."""
    has_turns = server_is_stopping()
    while has_turns:
        has_turns = bool(_loops.get(loop))
        time.sleep(LOOK_SECONDS)  # Once more than there are turns: the last is being kept.


def _server() -> object:
    if not shortcuts.is_on("server_shutdown"):
        return None
    return getattr(signal.getsignal(signal.SIGTERM), "__self__", None)


def _look_after(loop: asyncio.AbstractEventLoop) -> None:
    if loop not in _loops:
        _forget_closed_loops()
        _loops[loop], _subscriptions[loop] = {}, set()
        loop.call_later(LOOK_SECONDS, _look, loop)


def _look(loop: asyncio.AbstractEventLoop) -> None:
    """Tell those on this loop when the server stops; look again as long as there are any."""
    global _stopping_since
    if not _loops[loop] and not _subscriptions[loop]:
        del _loops[loop], _subscriptions[loop]
        return
    if server_is_stopping():
        _stopping_since = _stopping_since or time.monotonic()
        for one in (*_loops[loop].values(), *_subscriptions[loop]):
            one.wind_down(time.monotonic() - _stopping_since)
    loop.call_later(LOOK_SECONDS, _look, loop)


def _forget_closed_loops() -> None:
    """Several threads may do so at once, each with a loop of its own."""
    for loop in list(_loops):
        if loop.is_closed():
            _loops.pop(loop, None)
            _subscriptions.pop(loop, None)


def _forget() -> None:
    """Called in a forked child: the parent's turns and their readers are not here."""
    _loops.clear()
    _subscriptions.clear()


os.register_at_fork(after_in_child=_forget)
