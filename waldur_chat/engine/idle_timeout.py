"""Notices that a provider says nothing any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from waldur_chat.engine.event_log import EventLog


class IdleTimeout:
    """Tells when nothing was heard for too long; not while words wait for the reader. Used on its event loop.

    A timer for each word would cost more than the word, so who hears something sets `heard_at`, a time of the loop,
    and the timer looks at it.
    """

    __slots__ = ("_log", "_loop", "_seconds", "_tell", "_timer", "heard_at")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: float, log: EventLog, tell: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._log = log
        self._tell = tell
        self._begin(seconds)

    def shorten(self, seconds: float) -> None:
        """Let it be at most so many seconds, from now on."""
        self.stop()
        self._begin(min(seconds, self._seconds))

    def stop(self) -> None:
        """Tell nothing any more."""
        self._timer.cancel()

    def _begin(self, seconds: float) -> None:
        self._seconds = seconds
        self.heard_at = self._loop.time()
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        since = max(self.heard_at, self._log.drained_at)
        left = self._seconds if self._log.is_full else since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
        else:
            self._tell()
