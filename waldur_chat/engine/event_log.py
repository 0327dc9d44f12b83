"""The whole of one turn so far, for any number of readers on one event loop, who may come late and leave early.

Nobody is waited for: what a reader has not taken yet, he takes in one piece later. A position is the number of
characters of the answer before it, so that a reader who knows his gets exactly the rest, from the log as from the
stored answer.
"""

from __future__ import annotations

from collections.abc import Awaitable

from waldur_chat.engine.wakeup import ALREADY_SET, Wakeup
from waldur_chat.events import Delta, Event, Reasoning, Started, Terminal

FRESH_PIECES = 32


class TextBuffer:
    """A text that grows. One thread adds, any thread reads.

    What comes is kept as it came, a few pieces of it, and then merged with what came before as that doubles: so there
    are few pieces however long the text becomes, and none is copied often.
    """

    def __init__(self) -> None:
        self.length = 0
        """Characters."""
        self._fresh: list[str] = []
        self._pieces: tuple[tuple[tuple[int, str], ...], int, list[str]] = ((), 0, self._fresh)
        """Those that were merged; where the fresh ones begin, and they: in one, since others read at any moment."""

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


class Log:
    """What one turn has told. Written on its event loop."""

    def __init__(self) -> None:
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

    def end(self, terminal: Terminal) -> None:
        """Add the last event."""
        self.add(terminal)

    def add(self, event: Event) -> None:
        """Add an event, and wake who waits."""
        self.events += 1
        match event:
            case Delta(text=text):
                self.newest = (self.text.length, event)
                self.text.add(text)
            case Started():
                self.started = event
            case Reasoning(text=text):
                self.reasoning.add(text)
            case _:
                self.terminal = event
                for wakeup in self.waiters_for_end:
                    wakeup.wake()
        for wakeup in self.waiters:
            wakeup.wake()

    def wake(self) -> None:
        """Let everybody look who waits."""
        for wakeup in self.waiters | self.waiters_for_end:
            wakeup.wake()


class LogReader:
    """One reader of a log, who has `position` characters already; the one that has more than all has the end too."""

    def __init__(self, log: Log, position: int = 0) -> None:
        self.log = log
        self._position = position
        self._thoughts = log.reasoning.length if position else 0
        self._is_told_of_start = False
        self._has_ended = False
        self._has_left = False
        self.wants_whole = False
        """See Channel.is_patient."""
        self._seen = -1
        """How many events there were when it took the last: without a further one there is no news."""
        self._wakeup = Wakeup()
        log.readers += 1

    def want_whole(self) -> None:
        """See Channel.want_whole()."""
        self.wants_whole = True

    def wait(self, timeout: float | None = None) -> Awaitable[None]:
        """Wait until there is something to take, at most `timeout` seconds."""
        if self.log.events != self._seen and self._has_news():
            return ALREADY_SET
        (self.log.waiters_for_end if self.wants_whole else self.log.waiters).add(self._wakeup)
        return self._wakeup.wait(timeout)

    def peek(self) -> Event:
        """The first event that was not taken yet; there must be one."""
        return self._news()[0]

    def take(self) -> list[Event]:
        """Everything that has come since; a terminal event is the last."""
        log = self.log
        position, newest = log.newest
        if log.events == self._seen + 1 and position == self._position:  # A word, as nearly always.
            self._seen, self._position = log.events, log.text.length
            return [newest]
        events, self._seen = self._news(), log.events
        self._is_told_of_start = log.started is not None
        self._thoughts = log.reasoning.length
        self._position = max(self._position, log.text.length)
        self._has_ended = log.terminal is not None
        if self._has_ended:
            self._wakeup.close()
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
        return (
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
