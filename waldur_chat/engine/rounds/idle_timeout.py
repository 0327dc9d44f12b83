"""The time limit for silence of a provider that has started to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from waldur_chat.engine.event_log import EventLog


class IdleTimeout:
    """Calls `on_timeout` after `seconds` without an event, not counting the time of a pause or of a full log.

    Used on its event loop. The reader of the provider sets `last_event_at`, a time of the loop, and the timer compares:
    restarting a timer for each event would cost more than the event.
    """

    __slots__ = (
        "_full_seconds",
        "_is_paused",
        "_log",
        "_loop",
        "_on_timeout",
        "_seconds",
        "_timer",
        "is_short",
        "last_event_at",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, log: EventLog, on_timeout: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._log = log
        self._on_timeout = on_timeout
        self._full_seconds = seconds
        self._is_paused = False
        self.is_short = False
        """Whether `shorten()` holds."""
        self._start_timer(seconds)

    def shorten(self, seconds: float) -> None:
        """Reduce the time limit to at most so many seconds, from now on."""
        self.stop()
        self.is_short = True
        self._start_timer(min(seconds, self._full_seconds))

    def restore(self) -> None:
        """Return to the full time limit. The timer is left to fire early, and sets itself again."""
        self.is_short = False
        self._seconds = self._full_seconds

    async def pause(self, awaitable: Awaitable[None]) -> None:
        """Await something during which the provider is not read. The next event must be noted then."""
        self._is_paused = True
        await awaitable
        self._is_paused = False

    def stop(self) -> None:
        """Cancel the timer."""
        self._timer.cancel()

    def _start_timer(self, seconds: float) -> None:
        self._seconds = seconds
        self.last_event_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._check)

    def _check(self) -> None:
        idle_since = max(self.last_event_at, self._log.drained_at)
        is_read = not (self._is_paused or self._log.is_full)
        left = idle_since + self._seconds - self._loop.time() if is_read else self._seconds
        if left > 0:
            self._timer = self._loop.call_later(left, self._check)
        else:
            self._on_timeout()
