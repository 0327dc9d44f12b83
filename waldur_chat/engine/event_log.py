"""The events of one turn so far, for readers on one event loop.

A position is the number of characters of the answer before an event. A reader that reports its position gets exactly
the rest, from the log and from the stored answer alike. If the stored answer lacks thoughts at the beginning of what
was streamed, it begins at a later position than 0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from waldur_chat.engine.wakeup import ALREADY_SET, Wakeup
from waldur_chat.events import (
    Delta,
    Event,
    Reasoning,
    Started,
    Terminal,
    ToolAnswered,
    ToolCalled,
    ToolEvent,
    Warned,
    with_tool_events,
)

CAPACITY = 32 * 1024
"""How many characters the writer of an unrecorded turn may be ahead of its reader."""

EVENT_COST = 64
"""The size of an event without its text, in characters: many short events use as much memory as a few long ones."""

MAX_RECENT_CHUNKS = 32
"""How many chunks are collected before they are merged."""


class TextBuffer:
    """An append-only text. One thread appends, any thread reads.

    Recent chunks are collected, then merged with earlier ones of at most the same length. The number of chunks stays
    logarithmic in the length of the text, and no chunk is copied often. The text may begin at a later position than 0.
    """

    __slots__ = ("_chunks", "_recent", "length", "start")

    def __init__(self, start: int = 0) -> None:
        self.start = start
        """The position of the first character."""
        self.length = start
        """The position after the last character."""
        self._recent: list[str] = []
        self._chunks: tuple[tuple[tuple[int, str], ...], int, list[str]] = ((), start, self._recent)
        """Merged chunks, start of the recent ones, recent chunks: replaced at once, for readers in other threads."""

    def add(self, text: str) -> None:
        """Append a chunk."""
        self._recent.append(text)
        self.length += len(text)
        if len(self._recent) == MAX_RECENT_CHUNKS:
            self._merge()

    def since(self, position: int) -> str:
        """Return the text after this position."""
        merged, begin, recent = self._chunks
        text = "".join(recent)
        for start, before in reversed(merged):
            if begin <= position:
                break
            begin, text = start, before + text
        return text[max(position - begin, 0) :]

    def _merge(self) -> None:
        merged, start, recent = self._chunks
        text, count = "".join(recent), len(merged)
        while count and len(merged[count - 1][1]) <= len(text):
            count -= 1
            start, before = merged[count]
            text = before + text
        # A new list, not clear(): a reader in another thread may still join the old one.
        self._recent = []
        self._chunks = ((*merged[:count], (start, text)), self.length, self._recent)


class EventLog:
    """The events of one turn. Written and read on its event loop.

    Without a capacity the log keeps all events, for any number of readers that may join late and leave early, and the
    writer never waits. With a capacity it has one reader and keeps only the events that this reader has not taken. A
    slow reader then costs no memory, but the writer must await `drained()` while the reader is that many characters
    behind.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.started: Started | None = None
        self.warned: Warned | None = None
        self.text = TextBuffer()
        self.events = 0
        """Number of added events."""
        self.newest = (-1, Delta(text=""))
        """The last delta and its position: `LogReader.take()` usually returns it as it is."""
        self.reasoning = TextBuffer()
        self.tool_events: list[tuple[int, ToolEvent]] = []
        """Calls of tools and their results, each with its position."""
        self.terminal: Terminal | None = None
        self.readers = 0
        self.waiters: set[Wakeup] = set()
        """Readers to wake at each event."""
        self.waiters_for_end: set[Wakeup] = set()
        self.is_full = False
        """Whether the reader is so far behind that the writer must wait."""
        self.drained_at = 0.0
        """When the log was last full, by the event loop's clock: until then the provider could not be read."""
        self.pending: list[Event] = []
        """With a capacity: the events that the reader has not taken yet."""
        self._capacity = capacity
        self._size = 0
        self._writer = Wakeup()

    @property
    def keeps_everything(self) -> bool:
        """Whether a reader that joins late still gets all events."""
        return self._capacity is None

    def skip_to(self, position: int) -> None:
        """Drop the text: what follows is at this position."""
        self.text = TextBuffer(position)
        self.newest = (-1, Delta(text=""))

    def end(self, terminal: Terminal) -> None:
        """Add the last event, even if the log is full."""
        self.add(terminal)
        for wakeup in self.waiters | self.waiters_for_end:
            # No further waits: without this their timers would keep the readers alive.
            wakeup.close()

    def add(self, event: Event) -> None:
        """Add an event and wake the readers."""
        self.events += 1
        if isinstance(event, Terminal):
            self.terminal = event
        if self._capacity is None:
            self._append(event)
        else:
            self._append_bounded(event, self._capacity)
        if self.terminal or self.is_full:
            self.wake()
        else:
            for wakeup in self.waiters:
                wakeup.wake()

    def wake(self) -> None:
        """Wake all readers."""
        for wakeup in self.waiters | self.waiters_for_end:
            wakeup.wake()

    async def drained(self) -> None:
        """Wait until the reader has caught up."""
        while self.is_full:
            await self._writer.wait()

    def take_pending(self) -> list[Event]:
        """Return the events that the reader has not taken, oldest first, and wake the writer."""
        events, self.pending, self._size = self.pending, [], 0
        if self.is_full:
            self.is_full, self.drained_at = False, asyncio.get_running_loop().time()
            self._writer.wake()
        return events

    def _append(self, event: Event) -> None:
        match event:
            case Delta(text=text):
                self.newest = (self.text.length, event)
                self.text.add(text)
            case Started():
                self.started = event
            case Warned():
                self.warned = event
            case Reasoning(text=text):
                self.reasoning.add(text)
            case ToolCalled() | ToolAnswered():
                self.tool_events.append((self.text.length, event))

    def _append_bounded(self, event: Event, capacity: int) -> None:
        self.pending.append(event)
        if isinstance(event, (Delta, Reasoning)):
            self._size += len(event.text) + EVENT_COST
            self.is_full = self._size >= capacity


class LogReader:
    """One reader of a log, which has `position` characters already. Beyond the end it gets only the terminal event."""

    def __init__(self, log: EventLog, position: int = 0) -> None:
        self.log = log
        self.waits_for_end = False
        """Whether it is woken only at the end, or if a bounded log is full."""
        self._position = position
        # Reasoning has no position of its own: a reader that resumes gets only what is new.
        self._reasoning_position = log.reasoning.length if position else 0
        # What tools did has one: a reader that resumes gets again what stands at its position.
        self._first_position = position
        self._tool_events_taken = 0
        self._has_sent_start = False
        self._has_sent_warning = False
        self._has_ended = False
        self._is_closed = False
        self._seen = -1
        """`EventLog.events` at the last `take()`: if it has not changed, there is nothing new."""
        self._wakeup = Wakeup()
        log.readers += 1

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait until there is an event to take, at most `timeout` seconds."""
        if self.log.events != self._seen and self._has_new_events():
            return ALREADY_SET
        (self.log.waiters_for_end if self.waits_for_end else self.log.waiters).add(self._wakeup)
        return self._wakeup.wait(timeout)

    def peek(self) -> Event:
        """Return the first event that was not taken yet. There must be one."""
        return self._new_events()[0] if self.log.keeps_everything else self.log.pending[0]

    def take(self) -> list[Event]:
        """Return all new events; a terminal event is the last."""
        log = self.log
        if not log.keeps_everything:
            self._seen = log.events
            return log.take_pending()
        position, newest = log.newest
        if log.events == self._seen + 1 and position == self._position:  # The usual case: one new delta.
            events: list[Event] = [newest]
        else:
            events = self._new_events()
            self._has_sent_start = log.started is not None
            self._has_sent_warning = log.warned is not None
            self._reasoning_position = log.reasoning.length
            self._tool_events_taken = len(log.tool_events)
            self._has_ended = log.terminal is not None
            if self._has_ended:
                self._wakeup.close()
        self._seen, self._position = log.events, max(self._position, log.text.length)
        return events

    def close(self) -> None:
        """Stop reading."""
        self._wakeup.close()
        self.log.waiters.discard(self._wakeup)
        self.log.waiters_for_end.discard(self._wakeup)
        self.log.readers -= not self._is_closed
        self._is_closed = True

    def _has_new_events(self) -> bool:
        log = self.log
        return bool(log.pending) or (
            log.text.length > self._position
            or (log.started is not None and not self._has_sent_start)
            or (log.warned is not None and not self._has_sent_warning)
            or log.reasoning.length > self._reasoning_position
            or len(log.tool_events) > self._tool_events_taken
            or (log.terminal is not None and not self._has_ended)
        )

    def _new_events(self) -> list[Event]:
        events: list[Event] = []
        log = self.log
        if log.started and not self._has_sent_start:
            events.append(log.started)
        if log.warned and not self._has_sent_warning:
            events.append(log.warned)
        if log.reasoning.length > self._reasoning_position:
            events.append(Reasoning(text=log.reasoning.since(self._reasoning_position)))
        if len(log.tool_events) > self._tool_events_taken:
            events += self._new_text_and_tools()
        elif log.text.length > self._position:
            position, newest = log.newest
            is_next = position == self._position
            delta = newest if is_next else Delta(text=log.text.since(self._position))
            events += [delta] if delta.text else []
        if log.terminal and not self._has_ended:
            events.append(log.terminal)
        return events

    def _new_text_and_tools(self) -> list[Event]:
        """The new text, with the new events of tools at their positions."""
        start = max(self._position, self.log.text.start)
        new = self.log.tool_events[self._tool_events_taken :]
        shown = [(position, event) for position, event in new if position >= self._first_position]
        return with_tool_events(self.log.text.since(start), start, shown)
