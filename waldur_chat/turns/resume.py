"""Somebody who comes to a turn that has begun before: in this process, in another one, or long ago.

He is served like the first reader of a turn: first event, then all events, whole or from a position on.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from waldur_chat.engine import running_turns
from waldur_chat.engine.event_log import Log, LogReader
from waldur_chat.errors import ServerStopping, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns.follower import follower_of_process


class TurnSubscription:
    """One reader of a turn, who has `position` characters of it already."""

    ends_with_reader = False

    def __init__(self, replay: Replay, position: int = 0) -> None:
        self.id = replay.turn
        self.thread = replay.started.thread
        self.position = position
        self._replay = replay
        self._reader: LogReader | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: running_turns.Running | None = None
        self._is_sent_away = False
        self._wants_whole = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read, on this loop."""
        self._loop = loop

    def drop(self) -> None:
        """See Source.drop()."""

    async def first(self) -> Event:
        """See Source.first()."""
        reader = await self._news()
        match event := reader.peek():
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
            case _:
                return event

    def want_whole(self) -> None:
        """See Source.want_whole()."""
        self._wants_whole = True

    async def take(self, timeout: float | None = None) -> list[Event]:
        """See Source.take()."""
        return (await self._news(timeout)).take()

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """See Source.take_blocking()."""
        assert self._loop
        return asyncio.run_coroutine_threadsafe(self.take(timeout), self._loop).result()

    def text_before_position(self) -> str:
        """See Source.text_before_position()."""
        assert self._reader
        return self._reader.log.text.since(0)[: self.position]

    def close(self) -> None:
        """See Source.close()."""
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._leave, self._loop)

    def wind_down(self, stopping_for: float) -> None:
        """The server is stopping: the turn goes on in another process, and so can its reader, at once."""
        self._is_sent_away = True
        if self._reader:
            self._reader.log.wake()

    async def _news(self, timeout: float | None = None) -> LogReader:
        reader = self._reader = self._reader or self._begin()
        if not self._is_sent_away:
            await reader.wait(timeout)
        if self._is_sent_away:
            raise ServerStopping(retry_after=1)
        return reader

    def _begin(self) -> LogReader:
        assert self._loop
        reader = LogReader(self._log(self._loop), self.position)
        if self._wants_whole:
            reader.want_whole()
        return reader

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        running_turns.discard_subscription(self, loop)
        if self._reader:
            self._reader.close()
        if self._turn:
            self._turn.reader_left()

    def _log(self, loop: asyncio.AbstractEventLoop) -> Log:
        turn = running_turns.find(self.id)
        if turn and turn.log and turn.loop is loop:
            self._turn = turn
            return turn.log
        if self._replay.terminal is None:
            running_turns.add_subscription(self, loop)
            return follower_of_process().follow(self._replay, loop)
        log = Log()
        if self._replay.text or not isinstance(self._replay.terminal, (Failed, Cancelled)):
            log.add(self._replay.started)
        if self._replay.text:
            log.add(Delta(text=self._replay.text))
        log.add(self._replay.terminal)
        return log
