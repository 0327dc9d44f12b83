"""Waiting for somebody else on the same event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from math import inf


class _AlreadySet:
    """Awaited at once."""

    __slots__ = ()

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


ALREADY_SET = _AlreadySet()
"""What to wait for where there is nothing to wait for."""


class Wakeup:
    """Waits, again and again, to be woken. Used on its event loop.

    The timer that ends a wait is left standing when it was not needed, and then looks how much of the present wait is
    left: most waits are short, and a timer for each would cost more than the waiting.
    """

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = inf
        self._deadline = inf

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait to be woken, at most so many seconds. To be awaited at once, and by one at a time."""
        loop = asyncio.get_running_loop()
        self._future = future = loop.create_future()
        self._deadline = inf if timeout is None else loop.time() + timeout
        if self._deadline < self._timer_at:
            self._start_timer(loop)
        return future

    def wake(self) -> None:
        """End the wait, if there is one."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    def close(self) -> None:
        """There will be no more waits, or they may last for ever."""
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_at = None, inf

    def _start_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self.close()
        self._timer, self._timer_at = loop.call_at(self._deadline, self._on_timer, loop), self._deadline

    def _on_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer, self._timer_at = None, inf
        if self._future is None or self._future.done() or self._deadline == inf:
            return
        if loop.time() >= self._deadline:
            self.wake()
        else:
            self._start_timer(loop)
