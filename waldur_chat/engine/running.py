"""The turns that run in this process: to cancel one by its id, and to end all when the server is told to stop.

Nothing is installed for the latter. gunicorn's workers and uvicorn's servers handle SIGTERM with a method of their own,
and the object that it belongs to says whether it is stopping; while turns run, it is asked ten times a second.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Protocol

LOOK_SECONDS = 0.1


class Running(Protocol):
    """What is needed of a turn."""

    id: str

    def cancel(self) -> None: ...

    def wind_down(self, stopping_for: float) -> None: ...


_loops: dict[asyncio.AbstractEventLoop, dict[str, Running]] = {}
_stopping_since: float | None = None


def add(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn begins on the loop, which is running."""
    if loop not in _loops:
        _forget_closed_loops()
        _loops[loop] = {}
        loop.call_later(LOOK_SECONDS, _look, loop)
    _loops[loop][turn.id] = turn


def discard(turn: Running, loop: asyncio.AbstractEventLoop) -> None:
    """A turn of the loop has ended."""
    _loops.get(loop, {}).pop(turn.id, None)


def cancel(turn_id: str) -> bool:
    """Stop a turn of this process; False where it does not run here."""
    for turns in list(_loops.values()):
        if turn := turns.get(turn_id):
            turn.cancel()
            return True
    return False


def server_is_stopping() -> bool:
    """Whether the server that this process runs in was told to stop; False also where it does not tell."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return getattr(server, "alive", True) is False or getattr(server, "should_exit", False) is True


def _look(loop: asyncio.AbstractEventLoop) -> None:
    """Tell the turns of this loop when the server stops; look again as long as there are any."""
    global _stopping_since
    if not _loops[loop]:
        del _loops[loop]
        return
    if server_is_stopping():
        _stopping_since = _stopping_since or time.monotonic()
        for turn in _loops[loop].values():
            turn.wind_down(time.monotonic() - _stopping_since)
    loop.call_later(LOOK_SECONDS, _look, loop)


def _forget_closed_loops() -> None:
    """Several threads may do so at once, each with a loop of its own."""
    for loop in list(_loops):
        if loop.is_closed():
            _loops.pop(loop, None)


os.register_at_fork(after_in_child=_loops.clear)
