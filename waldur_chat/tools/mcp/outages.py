"""Servers that do not answer are left alone for a while, so that not every call waits for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from waldur_chat.runtime.forked import PerProcess
from waldur_chat.tools.mcp.failures import NotReached

FAILURES = 3
"""Calls in a row without an answer, after which a server is left alone."""
SECONDS = 30.0
"""For how long. One call may try it then; if that gets no answer, it is left alone again."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    until: float = 0.0


class Outages:
    """The failures of the servers of this process, by address. The clock returns seconds.

    Threads may lose a failure to each other, which delays the pause by one call.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._servers: dict[str, _Failures] = {}

    def check(self, url: str) -> None:
        """Raise `NotReached` if the server is left alone."""
        failures = self._servers.get(url)
        if failures is None or failures.count < FAILURES:
            return
        now = self._clock()
        if now < failures.until:
            raise NotReached("It has not answered lately, so it was not called. Try again in half a minute.")
        failures.until = now + SECONDS

    def failed(self, url: str) -> None:
        """Note a call without an answer."""
        failures = self._servers.setdefault(url, _Failures())
        failures.count += 1
        failures.until = self._clock() + SECONDS

    def answered(self, url: str) -> None:
        """Note a call with an answer, whatever it said."""
        self._servers.pop(url, None)


outages_of_process = PerProcess(Outages)
