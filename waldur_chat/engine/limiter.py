"""Limits how many turns run in this process at once; further turns wait in a queue.

A refusal costs microseconds and does not touch a provider. The limiter counts over all event loops of the process. The
limits that processes share, of a user and of the site, are counted in the database (`turns.slots`).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from waldur_chat.conf import Settings
from waldur_chat.errors import ChatBusy, TooManyTurns
from waldur_chat.runtime.forked import PerProcess

RETRY_AFTER_SECONDS = 5
"""The value of `Retry-After`: a guess, since the duration of the running turns is unknown."""


class _QueueTicket:
    """The place of one turn in the queue."""

    def __init__(self) -> None:
        self.is_admitted = False
        self._loop = asyncio.get_running_loop()
        self._admission = self._loop.create_future()

    def admit(self) -> bool:
        """Admit the turn; False if its event loop is closed, which also ended the turn."""
        self.is_admitted = True  # Set first: the loop's thread may check at once.
        try:
            self._loop.call_soon_threadsafe(self._admission.cancel)
        except RuntimeError:
            self.is_admitted = False
        return self.is_admitted

    async def wait(self, seconds: float) -> None:
        await asyncio.wait({self._admission}, timeout=seconds)


class ConcurrencyLimiter:
    """Counts running and queued turns. Used from any thread."""

    def __init__(self) -> None:
        # Reentrant: the garbage collector may end a turn of a closed loop while this thread holds the lock.
        self._lock = threading.RLock()
        self._running = 0
        self._turns_of: Counter[str] = Counter()
        self._queue: deque[_QueueTicket] = deque()
        self._waiting_for_slots = 0

    @property
    def load(self) -> tuple[int, int]:
        """How many turns run, and how many wait."""
        with self._lock:
            return self._running, len(self._queue) + self._waiting_for_slots

    def check(self, user_id: str, settings: Settings) -> None:
        """Raise what `enter()` would raise now, to refuse a request before any work."""
        with self._lock:
            self._check(user_id, settings)

    @asynccontextmanager
    async def enter(self, user_id: str, settings: Settings) -> AsyncIterator[None]:
        """Run a turn in this context, after waiting in the queue if necessary. Raises `TooManyTurns` and `ChatBusy`."""
        with self._lock:
            self._check(user_id, settings)
            ticket = self._issue_ticket(user_id, settings)
        try:
            if not ticket.is_admitted:
                await ticket.wait(settings.queue_seconds)
            if not ticket.is_admitted:
                raise busy("No turn ended in time")
            yield
        finally:
            with self._lock:
                self._release(ticket, user_id)

    @asynccontextmanager
    async def queued(self, settings: Settings) -> AsyncIterator[None]:
        """Count as queued while waiting for something other than room in this process. Raises `ChatBusy`."""
        with self._lock:
            self._check_queue(settings)
            self._waiting_for_slots += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting_for_slots -= 1

    def _check(self, user_id: str, settings: Settings) -> None:
        limit = settings.turns_per_user
        if limit is not None and user_id and self._turns_of[user_id] >= limit:
            raise too_many(user_id)
        if not self._has_room(settings):
            self._check_queue(settings)

    def _check_queue(self, settings: Settings) -> None:
        if len(self._queue) + self._waiting_for_slots >= settings.queue_length:
            raise busy("The queue is full")

    def _has_room(self, settings: Settings) -> bool:
        limit = settings.turns_per_process
        return limit is None or (self._running < limit and not self._queue)

    def _issue_ticket(self, user_id: str, settings: Settings) -> _QueueTicket:
        self._turns_of[user_id] += 1
        ticket = _QueueTicket()
        if self._has_room(settings):
            self._running += 1
            ticket.is_admitted = True
        else:
            self._queue.append(ticket)
        return ticket

    def _release(self, ticket: _QueueTicket, user_id: str) -> None:
        self._turns_of[user_id] -= 1
        if not self._turns_of[user_id]:
            del self._turns_of[user_id]
        if not ticket.is_admitted:
            with suppress(ValueError):  # Already removed by admit(), which failed: the loop was closed.
                self._queue.remove(ticket)
            return
        # The place passes to the next turn whose loop is open, so the number of running turns stays.
        while self._queue:
            if self._queue.popleft().admit():
                return
        self._running -= 1


def busy(reason: str) -> ChatBusy:
    """The error for a turn without room."""
    return ChatBusy(f"{reason}.", retry_after=RETRY_AFTER_SECONDS)


def too_many(user_id: str) -> TooManyTurns:
    """The error for a user with too many turns."""
    return TooManyTurns(f"User {user_id} has enough turns.", retry_after=RETRY_AFTER_SECONDS)


limiter_of_process = PerProcess(ConcurrencyLimiter)
