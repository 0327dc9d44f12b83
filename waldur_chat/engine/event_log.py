"""The events of one turn so far, for readers on one event loop.

A position is the number of characters of the answer before it, so that a reader who knows theirs gets exactly the
rest, from the log as from the stored answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from waldur_chat.engine.wakeup import ALREADY_SET, Wakeup
from waldur_chat.events import Delta, Event, Reasoning, Started, Terminal

CAPACITY = 32 * 1024
"""Characters by which the writer of a turn that nobody records may be ahead of its reader."""

EVENT_COST = 64
"""What an event costs beside its text, in characters: many short ones are no cheaper than few long ones."""

FRESH_PIECES = 32
"""How many pieces of a text are kept as they came."""


class TextBuffer:
    """A text that grows at its end. One thread adds, any thread reads.

    Pieces are kept as they came, a few of them, and then merged with what came before as that doubles: so there are
    few pieces however long the text becomes, and none is copied often.
    """

    __slots__ = ("_fresh", "_pieces", "length")

    def __init__(self) -> None:
        self.length = 0
        """Characters that were added."""
        self._fresh: list[str] = []
        self._pieces: tuple[tuple[tuple[int, str], ...], int, list[str]] = ((), 0, self._fresh)
        """The merged pieces; where the fresh ones begin, and these: in one value, since others read at any moment."""

    def add(self, text: str) -> None:
        """Add to its end."""
        self._fresh.append(text)
        self.length += len(text)
        if len(self._fresh) == FRESH_PIECES:
            self._merge()

    def since(self, position: int) -> str:
        """All that comes after this many characters."""
        merged, begin, fresh = self._pieces
        text = "".join(fresh)
        for start, before in reversed(merged):
            if begin <= position:
                break
            begin, text = start, before + text
        return text[position - begin :]

    def _merge(self) -> None:
        merged, start, fresh = self._pieces
        text, kept = "".join(fresh), len(merged)
        while kept and len(merged[kept - 1][1]) <= len(text):
            kept -= 1
            start, before = merged[kept]
            text = before + text
        self._fresh = []
        self._pieces = ((*merged[:kept], (start, text)), self.length, self._fresh)


class EventLog:
    """What one turn has told. Written and read on its event loop.

    Without a capacity it keeps everything, for any number of readers, who may come late and leave early, and no writer
    waits. With one it has one reader and keeps only the events that this reader has not taken: a slow reader costs no
    memory, but the writer, who is to wait for `drained()`, waits while the reader is that many characters behind.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.started: Started | None = None
        self.text = TextBuffer()
        self.events = 0
        """How many were added."""
        self.newest = (-1, Delta(text=""))
        """The last piece of the text, and the position of a reader who misses nothing else: most readers do not."""
        self.reasoning = TextBuffer()
        self.terminal: Terminal | None = None
        self.readers = 0
        self.waiters: set[Wakeup] = set()
        """Those that are woken by each event."""
        self.waiters_for_end: set[Wakeup] = set()
        self.is_full = False
        """Whether the reader is so far behind that the writer must wait."""
        self.drained_at = 0.0
        """When it was last full, by the event loop's clock: until then the provider could say nothing."""
        self.pending: list[Event] = []
        """With a capacity, the events that were not taken yet."""
        self._capacity = capacity
        self._size = 0
        self._writer = Wakeup()

    @property
    def keeps_everything(self) -> bool:
        """Whether a reader who comes late still gets all of it."""
        return self._capacity is None

    def end(self, terminal: Terminal) -> None:
        """Add the last event, full or not."""
        self.add(terminal)
        for wakeup in self.waiters | self.waiters_for_end:
            wakeup.close()

    def add(self, event: Event) -> None:
        """Add an event, and wake who waits."""
        self.events += 1
        if isinstance(event, Terminal):
            self.terminal = event
        if self._capacity is None:
            self._keep(event)
        else:
            self._hold(event, self._capacity)
        if self.terminal or self.is_full:
            self.wake()
        else:
            for wakeup in self.waiters:
                wakeup.wake()

    def wake(self) -> None:
        """Let everybody look who waits."""
        for wakeup in self.waiters | self.waiters_for_end:
            wakeup.wake()

    async def drained(self) -> None:
        """Wait while the reader is too far behind."""
        while self.is_full:
            await self._writer.wait()

    def take_pending(self) -> list[Event]:
        """The events that the one reader has not taken, oldest first; the writer may go on."""
        events, self.pending, self._size = self.pending, [], 0
        if self.is_full:
            self.is_full, self.drained_at = False, asyncio.get_running_loop().time()
            self._writer.wake()
        return events

    def _keep(self, event: Event) -> None:
        match event:
            case Delta(text=text):
                self.newest = (self.text.length, event)
                self.text.add(text)
            case Started():
                self.started = event
            case Reasoning(text=text):
                self.reasoning.add(text)

    def _hold(self, event: Event, capacity: int) -> None:
        self.pending.append(event)
        if isinstance(event, (Delta, Reasoning)):
            self._size += len(event.text) + EVENT_COST
            self.is_full = self._size >= capacity


class LogReader:
    """One reader of a log, who has `position` characters already. At a position beyond the end only that is told."""

    def __init__(self, log: EventLog, position: int = 0) -> None:
        self.log = log
        self.wants_whole = False
        """Whether it waits for the end alone, and for a log that is full."""
        self._position = position
        self._thoughts = log.reasoning.length if position else 0
        self._is_told_of_start = False
        self._has_ended = False
        self._has_left = False
        self._seen = -1
        """How many events there were when it took the last: without a further one there is no news."""
        self._wakeup = Wakeup()
        log.readers += 1

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait until there is something to take, at most `timeout` seconds."""
        if self.log.events != self._seen and self._has_news():
            return ALREADY_SET
        (self.log.waiters_for_end if self.wants_whole else self.log.waiters).add(self._wakeup)
        return self._wakeup.wait(timeout)

    def peek(self) -> Event:
        """The first event that was not taken yet; there must be one."""
        return self._news()[0] if self.log.keeps_everything else self.log.pending[0]

    def take(self) -> list[Event]:
        """Everything that has come since; a terminal event is the last."""
        log = self.log
        if not log.keeps_everything:
            self._seen = log.events
            return log.take_pending()
        position, newest = log.newest
        if log.events == self._seen + 1 and position == self._position:  # A word, as nearly always.
            events: list[Event] = [newest]
        else:
            events = self._news()
            self._is_told_of_start = log.started is not None
            self._thoughts = log.reasoning.length
            self._has_ended = log.terminal is not None
            if self._has_ended:
                self._wakeup.close()
        self._seen, self._position = log.events, max(self._position, log.text.length)
        return events

    def close(self) -> None:
        """The reader has gone."""
        self._wakeup.close()
        self.log.waiters.discard(self._wakeup)
        self.log.waiters_for_end.discard(self._wakeup)
        self.log.readers -= not self._has_left
        self._has_left = True

    def _has_news(self) -> bool:
        log = self.log
        return bool(log.pending) or (
            log.text.length > self._position
            or (log.started is not None and not self._is_told_of_start)
            or log.reasoning.length > self._thoughts
            or (log.terminal is not None and not self._has_ended)
        )

    def _news(self) -> list[Event]:
        events: list[Event] = []
        log = self.log
        if log.started and not self._is_told_of_start:
            events.append(log.started)
        if log.reasoning.length > self._thoughts:
            events.append(Reasoning(text=log.reasoning.since(self._thoughts)))
        if log.text.length > self._position:
            position, newest = log.newest
            is_all = position == self._position
            events.append(newest if is_all else Delta(text=log.text.since(self._position)))
        if log.terminal and not self._has_ended:
            events.append(log.terminal)
        return events
