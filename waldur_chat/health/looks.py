"""Looks at what may block for long: each in a thread of its own, its outcome shared for a second by all who ask.

A thread closes its connections before it tells the outcome, so whoever has an outcome knows that they are closed. It is
not interrupted, and a look that is blocked for long is replaced by another one; the number of such threads is limited.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.cache import caches
from django.db import connections

logger = logging.getLogger("waldur_chat.health")

T = TypeVar("T")

KEPT_SECONDS = 0.9
"""For how long after it began the outcome of a look is told."""

WAIT_SECONDS = 0.9
"""A look without an outcome so long after it began has failed. So a failure is told within 2 s."""

REPLACED_SECONDS = 3.0
"""A look that has been blocked for so long is replaced."""

MAX_BLOCKED = 3
"""How many replaced looks may be blocked at once, each with a connection."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A look has found nothing; the reason is the name of an error."""

    reason: str


HANGS = Failure("TimeoutError")


class Look(Generic[T]):
    """One look. Used from any thread."""

    def __init__(self, look: Callable[[], T], note: Callable[[T | Failure], None]) -> None:
        self.began = time.monotonic()
        self._look, self._note = look, note
        self._future: Future[T | Failure] = Future()

    def start(self, name: str) -> None:
        """Start the thread; where the system refuses one, the look has failed."""
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError as error:
            self._future.set_result(Failure(type(error).__name__))

    @property
    def is_done(self) -> bool:
        """Whether there is an outcome."""
        return self._future.done()

    @property
    def outcome(self) -> T | Failure:
        """What was found until now."""
        return self._future.result() if self._future.done() else HANGS

    def join(self) -> None:
        """Wait for the outcome, but no longer than a look may take."""
        if not self._future.done():
            wait([self._future], self._seconds_left())

    async def ajoin(self) -> None:
        """Do the same without blocking the event loop."""
        if self._future.done():
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tell(_: Any) -> None:
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(done.set_result, None)

        self._future.add_done_callback(tell)
        await asyncio.wait({done}, timeout=self._seconds_left())  # Which cancels nothing.

    def _seconds_left(self) -> float:
        return max(0.0, self.began + WAIT_SECONDS - time.monotonic())

    def _run(self) -> None:
        outcome: T | Failure
        try:
            outcome = self._look()
        # Also SystemExit. Only the name is kept: a traceback would keep the connection.
        except BaseException as error:
            outcome = Failure(type(error).__name__)
        finally:
            caches.close_all()
            connections.close_all()
        self._note(outcome)
        self._future.set_result(outcome)


class SharedLooks(Generic[T]):
    """The looks of one kind in one process, of which one is current. Used from any thread."""

    def __init__(self, name: str, look: Callable[[], T]) -> None:
        self._name, self._look = name, look
        self._lock = threading.Lock()
        self._current: Look[T] | None = None
        self._blocked: list[Look[T]] = []
        self._failure = ""

    def current(self) -> Look[T]:
        """The look whose outcome counts now; begun here if the last one is too old."""
        with self._lock:
            if self._current is None or self._is_over(self._current):
                self._current = Look(self._look, self._note)
                self._current.start(f"waldur-chat-health-{self._name}")
            return self._current

    def _is_over(self, look: Look[T]) -> bool:
        age = time.monotonic() - look.began
        if look.is_done:
            return age >= KEPT_SECONDS
        if age < REPLACED_SECONDS:
            return False
        self._blocked = [one for one in self._blocked if not one.is_done]
        if len(self._blocked) == MAX_BLOCKED:
            return False
        self._blocked.append(look)
        logger.error("The look at the %s has been blocked for %g seconds: another one begins.", self._name, age)
        return True

    def _note(self, outcome: T | Failure) -> None:
        """Log a failure when it begins, and its end."""
        failure = outcome.reason if isinstance(outcome, Failure) else ""
        if failure and failure != self._failure:
            logger.error("The look at the %s failed: %s", self._name, failure)
        elif self._failure and not failure:
            logger.info("The look at the %s succeeds again.", self._name)
        self._failure = failure
