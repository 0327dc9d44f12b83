"""What a response is made of: the events of one turn, for one reader."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from waldur_chat.engine.event_log import LogReader
from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Event, Failed


class EventSource(ABC):
    """Gives the events of one turn to one reader: of a turn that begins, or of one that has begun before.

    `start()`, `close()` and `take_blocking()` are for any thread, the rest is for the event loop it was started on.
    """

    __slots__ = ("_loop", "_reader", "_wants_whole", "id", "position")

    def __init__(self, turn_id: str, position: int = 0) -> None:
        self.id = turn_id
        self.position = position
        """How many characters of the answer the reader has already."""
        self._wants_whole = False
        self._reader: LogReader | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it was started on; None before."""
        return self._loop

    @property
    @abstractmethod
    def thread(self) -> str:
        """The conversation; empty where there is none."""

    @property
    @abstractmethod
    def ends_with_reader(self) -> bool:
        """Whether the turn is stopped when this reader leaves, so that its end can still be read."""

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, on this loop."""

    @abstractmethod
    def close(self) -> None:
        """The reader has gone."""

    @abstractmethod
    def discard(self) -> None:
        """Nobody will start it, since the reader has gone already."""

    @abstractmethod
    def text_before_position(self) -> str:
        """The text that the reader has already."""

    @abstractmethod
    def _open_reader(self) -> LogReader:
        """A reader of the turn's log, on the event loop."""

    def want_whole(self) -> None:
        """The reader wants the complete answer: wait for its end rather than for each event."""
        self._wants_whole = True
        if self._reader:
            self._reader.wants_whole = True

    async def first(self) -> Event:
        """Wait for the first event and leave it there. Raises the turn's error where it ended before it began."""
        match event := (await self._news()).peek():
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
            case _:
                return event

    async def take(self, timeout: float | None = None) -> list[Event]:
        """Wait, at most `timeout` seconds, for the next events; empty when none came. A terminal event is the last.

        Raises `ServerStopping` where the turn goes on elsewhere, and so should its reader.
        """
        return (await self._news(timeout)).take()

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """Wait as `take()` does, in a thread other than that of the event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.take(timeout), self._loop).result()

    async def _news(self, timeout: float | None = None) -> LogReader:
        """Wait until the reader has something to take, at most `timeout` seconds."""
        if self._reader is None:
            self._reader = self._open_reader()
            self._reader.wants_whole = self._wants_whole
        await self._reader.wait(timeout)
        return self._reader
