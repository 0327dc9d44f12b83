"""Carries the events of one turn from its task to one reader, on one event loop.

The channel is bounded: a writer that is `CAPACITY` characters ahead of its reader is to wait, so that a slow reader
costs no memory but slows its own turn down (which the limit on the whole turn ends).
"""

from __future__ import annotations

from collections.abc import Awaitable

from waldur_chat.engine.wakeup import ALREADY_SET, Wakeup
from waldur_chat.events import Delta, Event, Reasoning, Terminal

CAPACITY = 32 * 1024
EVENT_COST = 64
"""What an event costs beside its text, in characters: many short ones are no cheaper than few long ones."""


class Channel:
    """One writer, one reader. Used on its event loop only."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._size = 0
        self._reader = Wakeup()
        self._writer = Wakeup()
        self.wants_whole = False
        """Whether the reader wants the whole."""
        self.is_full = False
        """Whether the reader is so far behind that the writer must wait."""

    def add(self, event: Event) -> None:
        """Add an event. The writer waits first while the channel is full."""
        self._events.append(event)
        if isinstance(event, (Delta, Reasoning)):
            self._size += len(event.text) + EVENT_COST
            self.is_full = self._size >= CAPACITY
        if not self.wants_whole or self.is_full:
            self._reader.wake()

    async def drained(self) -> None:
        """Wait while the reader is too far behind."""
        while self.is_full:
            await self._writer.wait()

    def end(self, terminal: Terminal) -> None:
        """Add the last event, full or not."""
        self.wants_whole = False
        self.add(terminal)
        self._reader.close()

    def want_whole(self) -> None:
        """The reader wants the whole: it is woken at the end, and where the writer would have to wait for it."""
        self.wants_whole = True

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait until there is something to take, at most `timeout` seconds."""
        return ALREADY_SET if self._events else self._reader.wait(timeout)

    def peek(self) -> Event:
        """The oldest event that was not taken yet; there must be one."""
        return self._events[0]

    def take(self) -> list[Event]:
        """Everything that has arrived, oldest first."""
        events, self._events, self._size = self._events, [], 0
        if self.is_full:
            self.is_full = False
            self._writer.wake()
        return events
