"""Follows turns of other processes for readers in this one, in one thread that asks the store for all of them at once.

PostgreSQL wakes it when there is news; elsewhere it looks, soon after there was something and less often when not.
Each turn has one log here on each event loop, however many read it.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import connections

from waldur_chat.engine.event_log import EventLog
from waldur_chat.errors import TurnInterrupted
from waldur_chat.events import Delta, Failed, Finished, Terminal
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.store.turns import partials, replays
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns.notifier import ChangeNotifier
from waldur_chat.turns.reaper import reaper_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

SHORTEST_SECONDS = 0.05
LONGEST_SECONDS = 0.25
"""How long it waits between two looks, where nothing wakes it: longer when there was nothing."""

PAUSE_SECONDS = 0.02
"""How long it waits in any case: many who write must not keep it busy."""

TIMEOUT_SECONDS = 6.0
"""How long it waits for the store, until another thread asks anew."""

ABANDONED_SECONDS = 2.0
"""How often it looks for turns whose process died, and how long it follows a turn that nobody reads."""


@dataclass(slots=True, kw_only=True, eq=False)
class RemoteTurn:
    """A turn of another process, and its log on one event loop."""

    replay: Replay
    loop: asyncio.AbstractEventLoop
    log: EventLog = field(default_factory=EventLog)
    wanted: float = 0.0
    """When somebody last asked for it."""
    position: int = 0
    has_ended: bool = False

    def is_over(self) -> bool:
        """Whether nobody reads it any more."""
        is_left = self.log.readers == 0 and time.monotonic() > self.wanted + ABANDONED_SECONDS
        return self.has_ended or is_left or self.loop.is_closed()

    def tell(self, text: str, terminal: Terminal | None = None) -> None:
        """Add to the log, on its loop; one that is closed has no readers."""
        self.position += len(text)
        self.has_ended = terminal is not None
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._add, text, terminal)

    def _add(self, text: str, terminal: Terminal | None) -> None:
        if text or isinstance(terminal, Finished):
            self.log.add(self.replay.started)
        if text:
            self.log.add(Delta(text=text))
        if terminal:
            self.log.end(terminal)


class RemoteTurnFollower:
    """The followed turns of one process. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed: dict[tuple[str, int], RemoteTurn] = {}
        self._thread = SupervisedThread("waldur-chat-follow", self._run, TIMEOUT_SECONDS)
        self._looked_for_abandoned = 0.0

    def follow(self, replay: Replay, loop: asyncio.AbstractEventLoop) -> EventLog:
        """The log of a running turn, as far as it is known; the rest comes, as long as somebody reads it."""
        with self._lock:
            found = self._followed.get((replay.turn, id(loop)))
            if found is None:
                found = self._followed[replay.turn, id(loop)] = RemoteTurn(replay=replay, loop=loop)
            found.wanted = time.monotonic()
            self._thread.go()
        return found.log

    def _run(self, run: Run) -> None:
        pause = SHORTEST_SECONDS
        bell = ChangeNotifier()
        while followed := self._still_followed(run):
            try:
                with run.operation():
                    is_news = self._look(followed, run)
                    pause = SHORTEST_SECONDS if is_news else min(2 * pause, LONGEST_SECONDS)
                    time.sleep(PAUSE_SECONDS)
                    bell.wait(pause)
            except Exception as error:  # Whatever it is, the readers wait for the rest.
                logger.error("Turns of other processes could not be followed: %s", type(error).__name__)
                self._looked_for_abandoned = time.monotonic()  # Nor may the others have said that their turns run.
                connections.close_all()
                time.sleep(LONGEST_SECONDS)
        bell.close()

    def _still_followed(self, run: Run) -> list[RemoteTurn]:
        """The turns that have readers and no end; without any, the thread ends, as one does whose place was taken."""
        with self._lock:
            for key, one in list(self._followed.items()):
                if one.is_over():
                    del self._followed[key]
            if not self._followed:
                run.leave()
            return [] if run.is_over else list(self._followed.values())

    def _look(self, followed: list[RemoteTurn], run: Run) -> bool:
        """Pass on what is new. Those that have ended are asked for first: all they wrote is in their answer."""
        rows = [one.replay.row for one in followed]
        ended = {replay.row: replay for replay in replays.find_ended(rows)}
        positions: dict[int, int] = {}
        for one in followed:
            if (row := one.replay.row) not in ended:
                positions[row] = min(one.position, positions.get(row, one.position))
        news = partials.read_after(positions)
        with run.if_current() as is_mine:
            if not is_mine:
                return False
            for one in followed:
                if replay := ended.get(one.replay.row):
                    one.tell(replay.text[one.position :], replay.terminal)
                elif found := news.get(one.replay.row):
                    one.tell(found.text[one.position - found.position :])
        self._end_abandoned(followed)
        return bool(ended or news)

    def _end_abandoned(self, followed: list[RemoteTurn]) -> None:
        if time.monotonic() > self._looked_for_abandoned + ABANDONED_SECONDS:
            self._looked_for_abandoned = time.monotonic()
            reaper_of_process().look()
            gone = replays.without_thread([one.replay.row for one in followed])
            for one in followed:
                if one.replay.row in gone and not one.has_ended:
                    one.tell("", Failed(error=TurnInterrupted(), usage=None))


follower_of_process = PerProcess(RemoteTurnFollower)
