"""A circuit breaker: skips a provider that keeps failing, so that turns do not wait for it.

The closed breaker allows every attempt. After `BREAKER_FAILURES` failures in a row it opens and refuses attempts for
`BREAKER_SECONDS`. Then it allows one attempt, the probe: if that succeeds, the breaker closes; otherwise it stays open
for the same time again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from waldur_chat.conf import Settings
from waldur_chat.errors import (
    ChatError,
    ProviderBusy,
    ProviderEmpty,
    ProviderError,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderUnavailable,
)

PROBE_RETRY_SECONDS = 1
"""`retry_after` while a probe is running."""

_REACHABLE = (ProviderBusy, ProviderRefused, ProviderRefusedQuestion, ProviderEmpty)
"""Errors of a provider that works: what one user asks must not take it from the others."""


class Breaker:
    """The circuit breaker of one provider on one event loop. The clock returns seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether attempts are refused, but for the probe."""
        return self._open_until is not None

    @property
    def refuses(self) -> bool:
        """Whether the next attempt is refused; not if it is the probe."""
        until = self._open_until
        return until is not None and (self._probing or until > self._clock())

    def enter(self, settings: Settings) -> bool:
        """Check whether an attempt is allowed; `leave()` must follow. Returns whether the attempt is the probe.

        Raises `ProviderUnavailable` if the breaker is open.
        """
        if self._open_until is None:
            return False
        left = self._open_until - self._clock()
        if self._probing or left > 0:
            raise ProviderUnavailable(
                f"It failed {self._failures} times in a row.", retry_after=max(PROBE_RETRY_SECONDS, math.ceil(left))
            )
        self._probing = True
        return True

    def leave(self, settings: Settings, error: BaseException | None, *, is_probe: bool) -> None:
        """Record an attempt: its error, or None if the provider started to answer."""
        # Attempts that began before the breaker opened may end during the probe.
        self._probing = self._probing and not is_probe
        if error is None or isinstance(error, _REACHABLE):
            self._failures, self._open_until = 0, None
        elif _is_provider_fault(error):
            self._failures += 1
            if is_probe or (self._failures >= settings.breaker_failures and self._open_until is None):
                self._open_until = self._clock() + settings.breaker_seconds


def _is_provider_fault(error: BaseException) -> bool:
    """Whether the failure counts against the provider; not if the turn was stopped or the settings are wrong."""
    return isinstance(error, ProviderError) or (isinstance(error, Exception) and not isinstance(error, ChatError))
