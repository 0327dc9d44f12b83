"""Subscriptions to turns that have begun before: in this process, in another one, or long ago."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from waldur_chat.engine import running_turns
from waldur_chat.engine.event_log import EventLog, LogReader
from waldur_chat.engine.event_source import EventSource
from waldur_chat.errors import ServerStopping
from waldur_chat.events import Cancelled, Delta, Failed
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns.follower import follower_of_process


class TurnSubscription(EventSource):
    """One more reader of a turn, who has `position` characters of it already.

    It is served like the first reader: first event, then all events, whole or from the position on.
    """

    def __init__(self, replay: Replay, position: int = 0) -> None:
        super().__init__(replay.turn, position)
        self._replay = replay
        self._turn: running_turns.Running | None = None
        self._is_sent_away = False

    @property
    def thread(self) -> str:
        """The conversation."""
        return self._replay.started.thread

    @property
    def ends_with_reader(self) -> bool:
        """False: the turn has a conversation."""
        return False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read, on this loop."""
        self._loop = loop

    def discard(self) -> None:
        """Do nothing: the turn does not depend on this reader."""

    def close(self) -> None:
        """The reader has gone."""
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._leave, self._loop)

    def text_before_position(self) -> str:
        """The text that the reader has already."""
        assert self._reader
        return self._reader.log.text.since(0)[: self.position]

    def wind_down(self, stopping_for: float) -> None:
        """The server is stopping: the turn goes on in another process, and so can its reader, at once."""
        self._is_sent_away = True
        if self._reader:
            self._reader.log.wake()

    async def _news(self, timeout: float | None = None) -> LogReader:
        if self._is_sent_away:
            raise ServerStopping(retry_after=1)
        reader = await super()._news(timeout)
        if self._is_sent_away:
            raise ServerStopping(retry_after=1)
        return reader

    def _open_reader(self) -> LogReader:
        assert self._loop
        return LogReader(self._find_log(self._loop), self.position)

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        running_turns.discard_subscription(self, loop)
        if self._reader:
            self._reader.close()
        if self._turn:
            self._turn.reader_left()

    def _find_log(self, loop: asyncio.AbstractEventLoop) -> EventLog:
        """That of the turn where it runs on this loop; a copy that follows it; or one made of what is stored."""
        turn = running_turns.find(self.id)
        if turn and turn.log.keeps_everything and turn.loop is loop:
            self._turn = turn
            return turn.log
        if self._replay.terminal is None:
            running_turns.add_subscription(self, loop)
            return follower_of_process().follow(self._replay, loop)
        return self._stored_log()

    def _stored_log(self) -> EventLog:
        log, terminal = EventLog(), self._replay.terminal
        assert terminal
        if self._replay.text or not isinstance(terminal, (Failed, Cancelled)):
            log.add(self._replay.started)
        if self._replay.text:
            log.add(Delta(text=self._replay.text))
        log.end(terminal)
        return log
