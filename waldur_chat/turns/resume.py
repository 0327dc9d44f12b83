"""Subscriptions to turns that began earlier: in this process, in another one, or finished."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from waldur_chat.engine import running_turns
from waldur_chat.engine.event_log import EventLog, LogReader
from waldur_chat.engine.event_source import EventSource
from waldur_chat.errors import ServerStopping
from waldur_chat.events import Cancelled, Failed
from waldur_chat.metrics import observer
from waldur_chat.runtime import tenants
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns.follower import follower_of_process


class TurnSubscription(EventSource):
    """A further reader of a turn, which has `position` characters of it already.

    It has the interface of the first reader: the first event, then all events, or the complete answer.
    """

    def __init__(self, replay: Replay, position: int = 0) -> None:
        # Of what comes before the answer, an ended turn has nothing more to tell.
        super().__init__(replay.turn, max(position, replay.text_start) if replay.terminal else position)
        self._replay = replay
        self._tenant = tenants.current()
        self._turn: running_turns.RunningTurn | None = None
        self._is_server_stopping = False

    @property
    def thread(self) -> str:
        return self._replay.started.thread

    @property
    def ends_with_reader(self) -> bool:
        """False: a turn with a conversation does not depend on this reader."""
        return False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Set the loop; the log is opened at the first wait, on the loop."""
        self._loop = loop

    def discard(self) -> None:
        """Do nothing: the turn does not depend on this reader."""

    def close(self) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._leave, self._loop)

    def text_before_position(self) -> str:
        """Return the answer up to the position."""
        assert self._reader
        text = self._reader.log.text
        return text.since(0)[: max(self.position - text.start, 0)]

    def on_server_stopping(self, stopping_for: float) -> None:
        """Disconnect the reader at once: the turn runs in another process, where the reader can resume."""
        self._is_server_stopping = True
        if self._reader:
            self._reader.log.wake()

    async def _wait_for_events(self, timeout: float | None = None) -> LogReader:
        if self._is_server_stopping:
            raise ServerStopping(retry_after=1)
        reader = await super()._wait_for_events(timeout)
        if self._is_server_stopping:
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
        """Return the log of a turn on this loop, a copy that the follower fills, or one made of the stored answer."""
        turn = running_turns.find(self.id)
        if turn and turn.log.keeps_everything and turn.loop is loop:
            self._turn = turn
            observer().stream_rejoined("this_process")
            return turn.log
        if self._replay.terminal is None:
            running_turns.add_subscription(self, loop)
            observer().stream_rejoined("other_process")
            return follower_of_process(self._tenant).follow(self._replay, loop)
        observer().stream_rejoined("stored")
        return self._stored_log()

    def _stored_log(self) -> EventLog:
        log, terminal = EventLog(), self._replay.terminal
        assert terminal
        log.skip_to(self._replay.text_start)
        answer = self._replay.answer
        if answer or not isinstance(terminal, (Failed, Cancelled)):
            log.add(self._replay.started)
        if self._replay.warned:
            log.add(self._replay.warned)
        for event in answer:
            log.add(event)
        log.end(terminal)
        return log
