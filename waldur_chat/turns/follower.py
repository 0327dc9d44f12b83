"""Follows turns of other processes for readers in this one: one thread polls the database for all of them.

On PostgreSQL a notification wakes the thread; with other databases it polls, less often while nothing changes. Each
followed turn has one log per event loop, shared by its readers.
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
"""Bounds of the pause between two polls without notifications: it grows while nothing changes."""

PAUSE_SECONDS = 0.02
"""Shortest pause in any case, so that frequent notifications cannot keep the thread busy."""

TIMEOUT_SECONDS = 6.0
"""How long the database may block the thread, before another one replaces it."""

REAP_SECONDS = 2.0
"""How often expired turns are looked for, and how long a turn without a reader is followed."""


@dataclass(slots=True, kw_only=True, eq=False)
class RemoteTurn:
    """A turn of another process, and its log on one event loop."""

    replay: Replay
    loop: asyncio.AbstractEventLoop
    log: EventLog = field(default_factory=EventLog)
    requested_at: float = 0.0
    """When a reader last requested it."""
    position: int = 0
    has_ended: bool = False

    def is_over(self) -> bool:
        """Whether the turn need not be followed any more."""
        has_no_reader = self.log.readers == 0 and time.monotonic() > self.requested_at + REAP_SECONDS
        return self.has_ended or has_no_reader or self.loop.is_closed()

    def append(self, text: str, terminal: Terminal | None = None) -> None:
        """Add to the log on its event loop. A closed loop has no readers."""
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
        self._thread = SupervisedThread("waldur-chat-follower", self._run, TIMEOUT_SECONDS)
        self._reaped_at = 0.0

    def follow(self, replay: Replay, loop: asyncio.AbstractEventLoop) -> EventLog:
        """Return the log of a running turn, which the thread continues to fill as long as it has a reader."""
        with self._lock:
            remote = self._followed.get((replay.turn, id(loop)))
            if remote is None:
                remote = self._followed[replay.turn, id(loop)] = RemoteTurn(replay=replay, loop=loop)
            remote.requested_at = time.monotonic()
            self._thread.start()
        return remote.log

    def _run(self, run: Run) -> None:
        pause = SHORTEST_SECONDS
        notifier = ChangeNotifier()
        while followed := self._active_turns(run):
            try:
                with run.operation():
                    has_news = self._poll(followed, run)
                    pause = SHORTEST_SECONDS if has_news else min(2 * pause, LONGEST_SECONDS)
                    time.sleep(PAUSE_SECONDS)
                    notifier.wait(pause)
            except Exception as error:  # Any error: the readers wait for the rest.
                logger.error("Turns of other processes could not be followed: %s", type(error).__name__)
                # Their processes may have failed to renew leases too, so do not treat the turns as expired at once.
                self._reaped_at = time.monotonic()
                connections.close_all()
                time.sleep(LONGEST_SECONDS)
        notifier.close()

    def _active_turns(self, run: Run) -> list[RemoteTurn]:
        """Return the turns to follow. Without any the run ends; a replaced thread gets none."""
        with self._lock:
            for key, turn in list(self._followed.items()):
                if turn.is_over():
                    del self._followed[key]
            if not self._followed:
                run.finish()
            return [] if run.is_over else list(self._followed.values())

    def _poll(self, followed: list[RemoteTurn], run: Run) -> bool:
        """Append new output. Ended turns are queried first: their stored answer contains all their output."""
        rows = [turn.replay.row for turn in followed]
        ended = {replay.row: replay for replay in replays.find_ended(rows)}
        positions: dict[int, int] = {}
        for turn in followed:
            if (row := turn.replay.row) not in ended:
                positions[row] = min(turn.position, positions.get(row, turn.position))
        outputs = partials.read_after(positions)
        # A replaced thread must not append: its replacement may have appended the same text already.
        with run.if_current() as is_current:
            if not is_current:
                return False
            for turn in followed:
                if replay := ended.get(turn.replay.row):
                    turn.append(replay.text[turn.position :], replay.terminal)
                elif output := outputs.get(turn.replay.row):
                    turn.append(output.text[turn.position - output.position :])
        self._end_expired(followed)
        return bool(ended or outputs)

    def _end_expired(self, followed: list[RemoteTurn]) -> None:
        if time.monotonic() > self._reaped_at + REAP_SECONDS:
            self._reaped_at = time.monotonic()
            reaper_of_process().reap_expired()
            lost = replays.without_thread([turn.replay.row for turn in followed])
            for turn in followed:
                if turn.replay.row in lost and not turn.has_ended:
                    turn.append("", Failed(error=TurnInterrupted(), usage=None))


follower_of_process = PerProcess(RemoteTurnFollower)
