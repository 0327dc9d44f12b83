"""When to come back after a failure, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from waldur_chat.client.errors import ChatError

FIRST_PAUSE_SECONDS = 0.5
"""The pause after the first failure, where the server did not name another one."""

SHORTEST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 15.0
"""Between these is every pause of our own, whatever the server named and however often it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a client waits, in seconds, and how much it takes, in bytes.

    `patience_seconds`: how long it tries to come back while nothing new arrives. `connect_seconds`: how long a server
    may take to take the connection. `silence_seconds`: after so long without a byte a connection is taken for dead; a
    server sends something every ten seconds. `first_event_seconds`: the same for the connection that a question is
    asked on, which is silent until the model answers.
    `event_max_bytes`: of one event, and one may hold a whole answer; a character has up to twelve bytes there.
    """

    patience_seconds: float = 60.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    first_event_seconds: float = 90.0
    event_max_bytes: int = 16 * 1024 * 1024


class Patience:
    """Counts the failures since something new arrived."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._first_pause = FIRST_PAUSE_SECONDS
        self._failures = 0
        self._failing_since = 0.0

    def renew(self) -> None:
        """Something new has arrived."""
        self._failures = 0

    def heed(self, retry: int | None) -> None:
        """The server has said after how many milliseconds its readers come back."""
        if retry is not None:
            self._first_pause = max(retry / 1000, SHORTEST_PAUSE_SECONDS)

    def pause(self, error: ChatError) -> float:
        """Seconds to wait before one comes back after this failure. Raises it where patience is over before that."""
        now = self._clock()
        self._failing_since = self._failing_since if self._failures else now
        growing = min(self._first_pause * 2.0 ** min(self._failures, 10), LONGEST_PAUSE_SECONDS)
        # All readers of a server that stops lose their connections at once; they had better not come back at once.
        spread = growing * random.uniform(1.0, 1.5)  # noqa: S311  # No secret.
        pause = max(spread, error.retry_after or 0.0)
        self._failures += 1
        if now + pause > self._failing_since + self._seconds:
            raise error
        return pause
