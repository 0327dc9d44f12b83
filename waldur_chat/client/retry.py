"""When to retry after a failure, and when to give up."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from waldur_chat.client.errors import ChatError

FIRST_DELAY_SECONDS = 0.5
"""The delay after the first failure, unless the server names another one."""

MIN_DELAY_SECONDS = 0.1
MAX_DELAY_SECONDS = 15.0
"""Bounds of our own delays, whatever the server named and however many failures there were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Time limits of a client in seconds, and its size limit in bytes.

    `patience_seconds`: how long it retries while nothing new arrives. `connect_seconds`: how long a server may take to
    accept the connection. `silence_seconds`: how long a connection may be silent before it is considered dead; a server
    sends something every ten seconds. `first_event_seconds`: the same for the connection that sends a question, which
    is silent until the model answers.
    `event_max_bytes`: the size of one event, which may hold a whole answer; a character takes up to twelve bytes.
    """

    patience_seconds: float = 60.0
    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    first_event_seconds: float = 90.0
    event_max_bytes: int = 16 * 1024 * 1024


class Backoff:
    """Exponential backoff with jitter; counts the failures since something new arrived."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._first_delay = FIRST_DELAY_SECONDS
        self._failures = 0
        self._failing_since = 0.0

    def reset(self) -> None:
        """Start again from the first delay: something new has arrived."""
        self._failures = 0

    def set_server_delay(self, retry: int | None) -> None:
        """Use the `retry` field of the stream, in milliseconds, as the first delay."""
        if retry is not None:
            self._first_delay = max(retry / 1000, MIN_DELAY_SECONDS)

    def next_delay(self, error: ChatError) -> float:
        """Seconds to wait after this failure. Raises it if the time to retry would be over by then."""
        now = self._clock()
        self._failing_since = self._failing_since if self._failures else now
        delay = min(self._first_delay * 2.0 ** min(self._failures, 10), MAX_DELAY_SECONDS)
        # Jitter: all clients of a server that stops lose their connections at the same time.
        jittered = delay * random.uniform(1.0, 1.5)  # noqa: S311  # No secret.
        wait = max(jittered, error.retry_after or 0.0)
        self._failures += 1
        if now + wait > self._failing_since + self._seconds:
            raise error
        return wait
