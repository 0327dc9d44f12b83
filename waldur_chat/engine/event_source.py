"""The event source of a response: the events of one turn for one reader."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from waldur_chat.engine.event_log import LogReader
from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Event, Failed


class EventSource(ABC):
    """The events of one turn for one reader: a new turn (`Turn`), or one that began earlier (`TurnSubscription`).

    `start()`, `close()` and `take_blocking()` may be called from any thread, all others on the event loop of `start()`.
    """

    __slots__ = ("_loop", "_reader", "_waits_for_end", "id", "position")

    def __init__(self, turn_id: str, position: int = 0) -> None:
        self.id = turn_id
        self.position = position
        """Number of characters of the answer that the reader already has."""
        self._waits_for_end = False
        self._reader: LogReader | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop of `start()`; None before."""
        return self._loop

    @property
    @abstractmethod
    def thread(self) -> str:
        """The id of the conversation; empty if there is none."""

    @property
    @abstractmethod
    def ends_with_reader(self) -> bool:
        """Whether the turn is stopped when this reader leaves. If so, its terminal event can still be read."""

    @abstractmethod
    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start on this loop."""

    @abstractmethod
    def close(self) -> None:
        """Stop reading: the client has disconnected."""

    @abstractmethod
    def discard(self) -> None:
        """Release the source instead of starting it: the client left before the response was rendered."""

    @abstractmethod
    def text_before_position(self) -> str:
        """Return the text that the reader already has."""

    @abstractmethod
    def _open_reader(self) -> LogReader:
        """Return a reader of the turn's log. Called on the event loop."""

    def wait_for_end(self) -> None:
        """Wake this reader at the end only: it needs the complete answer."""
        self._waits_for_end = True
        if self._reader:
            self._reader.waits_for_end = True

    async def first(self) -> Event:
        """Wait for the first event without taking it. Raises the turn's error if it failed before its answer began."""
        match event := (await self._wait_for_events()).peek():
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
            case _:
                return event

    async def take(self, timeout: float | None = None) -> list[Event]:
        """Wait, at most `timeout` seconds, for the next events; empty if there are none. A terminal event is the last.

        Raises `ServerStopping` if the turn runs in another process and this one stops: the reader should reconnect.
        """
        return (await self._wait_for_events(timeout)).take()

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """Wait as `take()` does, from a thread other than that of the event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.take(timeout), self._loop).result()

    async def _wait_for_events(self, timeout: float | None = None) -> LogReader:
        """Wait until the reader has an event to take, at most `timeout` seconds."""
        if self._reader is None:
            self._reader = self._open_reader()
            self._reader.waits_for_end = self._waits_for_end
        await self._reader.wait(timeout)
        return self._reader
