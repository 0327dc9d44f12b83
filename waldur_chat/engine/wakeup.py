"""A reusable wake-up with a time limit, for tasks of one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from math import inf


class _AlreadySet:
    """An awaitable that does not wait."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


ALREADY_SET = _AlreadySet()
"""The awaitable to return if there is nothing to wait for."""


class Wakeup:
    """Waits repeatedly until it is woken or the time limit has passed. Used on its event loop.

    A timer that was not needed keeps running, and then compares the deadline of the current wait: most waits are short,
    and a new timer for each would cost more than the wait.
    """

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._deadline = inf

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait until woken, at most so many seconds. The result must be awaited at once, by one task at a time."""
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        self._deadline = inf if timeout is None else loop.time() + timeout
        if self._deadline < self._timer_at:
            self._start_timer(loop)
        return future

    def wake(self) -> None:
        """End the current wait, if any."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """Cancel the timer: no further wait follows, or none with a time limit."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_at = None, inf

    def _start_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._timer, self._timer_at = loop.call_at(self._deadline, self._on_timer, loop), self._deadline

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_at = None, inf
        # The timer may be left from an earlier wait.
        if self._future is None or self._future.done() or self._deadline == inf:
            return
        if loop.time() >= self._deadline:
            self.wake()
        else:
            self._start_timer(loop)
