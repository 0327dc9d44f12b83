"""Lets the tokens of an answer that is wanted whole gather, so that several are read at once.

A token that is read by itself costs more than all else that is done about it. Nobody gets his answer any later: the end
of the body is read when it comes, and after `GATHER_SECONDS` where a service leaves its body open. An answer that comes
fast is read as it comes, since no more can gather than is read ahead.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

AFTER_SECONDS = 0.1
"""The age of an answer that does not come fast."""

GATHER_SECONDS = 0.2
"""How long what comes gathers."""

READ_AHEAD_BYTES = 16 * 1024

MUCH = READ_AHEAD_BYTES // 2
"""What an answer that comes fast brings at once."""

wants_whole: ContextVar[bool] = ContextVar("waldur_chat_wants_whole", default=False)
"""Whether the turn that iterates a stream wants nothing but the whole answer."""


class Gathering:
    """That of one response; some HTTP clients have no `gather()`."""

    __slots__ = ("_begins_at", "_gather", "_loop")

    def __init__(self, response: Any) -> None:
        self._gather = getattr(response, "gather", None)
        self._loop = asyncio.get_running_loop()
        self._begins_at = self._loop.time() + AFTER_SECONDS

    async def more(self, size: int) -> None:
        """Before the next read, let bytes gather; the last brought so many."""
        if size > MUCH:
            self._gather = None
        if self._gather and self._loop.time() > self._begins_at:
            await self._gather(GATHER_SECONDS)
