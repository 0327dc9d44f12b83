"""A circuit breaker: a provider that keeps failing is not asked for a while, so that it costs no time.

Closed, it lets every attempt pass. After so many failures in a row it opens and refuses at once. When its time is over
it lets one attempt pass, the probe: if that one succeeds, the breaker closes; if not, it stays open for as long again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from waldur_chat.conf import Settings
from waldur_chat.errors import ChatError, ProviderBusy, ProviderError, ProviderRefused, ProviderUnavailable

PROBED_SOON_SECONDS = 1
"""When to come again while somebody probes."""


class Breaker:
    """The breaker of one provider on one event loop. The clock gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._open_until: float | None = None
        self._probing = False

    def enter(self, settings: Settings) -> bool:
        """Before an attempt; `leave` must follow. Tells whether it is the probe.

        Raises `ProviderUnavailable` where there must be none.
        """
        if self._open_until is None:
            return False
        left = self._open_until - self._clock()
        if self._probing or left > 0:
            raise ProviderUnavailable(
                f"It failed {self._failures} times in a row.", retry_after=max(PROBED_SOON_SECONDS, math.ceil(left))
            )
        self._probing = True
        return True

    def leave(self, settings: Settings, error: BaseException | None, *, is_probe: bool) -> None:
        """After an attempt: with what it failed, or None where the provider began to answer."""
        self._probing = self._probing and not is_probe
        if error is None or isinstance(error, (ProviderBusy, ProviderRefused)):  # It lives.
            self._failures, self._open_until = 0, None
        elif _tells_of_the_provider(error):
            self._failures += 1
            if is_probe or (self._failures >= settings.breaker_failures and self._open_until is None):
                self._open_until = self._clock() + settings.breaker_seconds


def _tells_of_the_provider(error: BaseException) -> bool:
    """Whether the provider is to blame; not where the turn was stopped, or the settings do not work."""
    return isinstance(error, ProviderError) or (isinstance(error, Exception) and not isinstance(error, ChatError))
