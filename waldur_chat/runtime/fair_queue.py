"""Streams that are always ready take turns, so that requests and other streams of their event loop need not wait.

A stream whose next bytes are always there never waits, and many such streams together fill every pass of the loop with
as many reads as there are streams. So each of them queues after every `SHARE` characters, and one goes on in each pass
of the loop: a pass takes as long for a hundred streams as for one. Streams that wait for their models come here rarely,
and find the queue empty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakKeyDictionary

SHARE = 4 * 1024
"""How many characters a stream may write before it queues: those of a short answer, or of some milliseconds."""


class FairQueue:
    """The streams of one event loop that have written their share, in their order. Used on that loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait for all that queue already, and at least for the next pass of the loop."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        if len(self._waiting) == 1:
            loop.call_soon(self._let_one_go_on)
        await future

    def _let_one_go_on(self) -> None:
        """End the wait of the first, but for those that were cancelled. The next one goes on in the next pass."""
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if self._waiting:
            self._waiting.popleft().set_result(None)
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._let_one_go_on)


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, FairQueue] = WeakKeyDictionary()


def fair_queue() -> FairQueue:
    """The queue of the running event loop."""
    return _queues.setdefault(asyncio.get_running_loop(), FairQueue())
