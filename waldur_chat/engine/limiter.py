"""Limits how many turns run in this process at once; the others wait in a queue.

What it refuses costs microseconds, and no provider is touched. It counts over all event loops of the process. What
processes share, the turns of a user and of the site, is counted in the database (`turns.slots`).
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
"""What `Retry-After` says; how long the running answers take nobody knows."""


class _QueueTicket:
    """One turn's place: in the queue until it is called."""

    def __init__(self) -> None:
        self.called = False
        self._loop = asyncio.get_running_loop()
        self._call = self._loop.create_future()

    def call(self) -> bool:
        """Let it in; False where its loop is closed, and with it the turn has ended."""
        self.called = True  # Its loop may look at once.
        try:
            self._loop.call_soon_threadsafe(self._call.cancel)
        except RuntimeError:
            self.called = False
        return self.called

    async def wait(self, seconds: float) -> None:
        await asyncio.wait({self._call}, timeout=seconds)


class ConcurrencyLimiter:
    """Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # A turn whose loop has gone leaves when it is collected, at any time.
        self._running = 0
        self._turns_of: Counter[str] = Counter()
        self._queue: deque[_QueueTicket] = deque()
        self._waiting_elsewhere = 0

    def check(self, user_id: str, settings: Settings) -> None:
        """Raise what `enter` would raise now; for who wants to refuse before he has begun with anything."""
        with self._lock:
            self._check(user_id, settings)

    @asynccontextmanager
    async def enter(self, user_id: str, settings: Settings) -> AsyncIterator[None]:
        """Run a turn, after waiting in the queue if need be. Raises `TooManyTurns` and `ChatBusy`."""
        with self._lock:
            self._check(user_id, settings)
            place = self._take_place(user_id, settings)
        try:
            if not place.called:
                await place.wait(settings.queue_seconds)
            if not place.called:
                raise busy("No turn ended in time")
            yield
        finally:
            with self._lock:
                self._give_up(place, user_id)

    @asynccontextmanager
    async def queued(self, settings: Settings) -> AsyncIterator[None]:
        """Wait for something else than room in this process, in the same queue. Raises `ChatBusy`."""
        with self._lock:
            self._check_queue(settings)
            self._waiting_elsewhere += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting_elsewhere -= 1

    def _check(self, user_id: str, settings: Settings) -> None:
        limit = settings.turns_per_user
        if limit is not None and user_id and self._turns_of[user_id] >= limit:
            raise too_many(user_id)
        if not self._has_room(settings):
            self._check_queue(settings)

    def _check_queue(self, settings: Settings) -> None:
        if len(self._queue) + self._waiting_elsewhere >= settings.queue_length:
            raise busy("The queue is full")

    def _has_room(self, settings: Settings) -> bool:
        limit = settings.turns_per_process
        return limit is None or (self._running < limit and not self._queue)

    def _take_place(self, user_id: str, settings: Settings) -> _QueueTicket:
        self._turns_of[user_id] += 1
        place = _QueueTicket()
        if self._has_room(settings):
            self._running += 1
            place.called = True
        else:
            self._queue.append(place)
        return place

    def _give_up(self, place: _QueueTicket, user_id: str) -> None:
        self._turns_of[user_id] -= 1
        if not self._turns_of[user_id]:
            del self._turns_of[user_id]
        if not place.called:
            with suppress(ValueError):  # It was passed over, since its loop was closed.
                self._queue.remove(place)
            return
        while self._queue:
            if self._queue.popleft().call():
                return
        self._running -= 1


def busy(words: str) -> ChatBusy:
    """The refusal of somebody for whom there is no room."""
    return ChatBusy(f"{words}.", retry_after=RETRY_AFTER_SECONDS)


def too_many(user_id: str) -> TooManyTurns:
    """The refusal of a user who has enough turns."""
    return TooManyTurns(f"User {user_id} has enough turns.", retry_after=RETRY_AFTER_SECONDS)


limiter_of_process = PerProcess(ConcurrencyLimiter)
