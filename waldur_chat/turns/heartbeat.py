"""The heartbeat of this process's recorded turns: one thread, which goes on for a while when there are none.

Four times a second it flushes the text of all turns in one statement; twice a second it cancels those that somebody
asked to stop, in whatever process; every 1.5 seconds it renews the leases, and lets the reaper look for expired ones.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connections

from waldur_chat.engine import running_turns
from waldur_chat.engine.event_log import EventLog
from waldur_chat.events import Usage
from waldur_chat.record import TurnRecord
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.store.turns import leases, partials
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.turns.reaper import reaper_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

FLUSH_SECONDS = 0.25
LOOK_SECONDS = 0.5
RENEW_SECONDS = 1.5
TIMEOUT_SECONDS = leases.LEASE_SECONDS / 2
"""How long a round may take, until another thread goes on: soon enough to say in time that ours live."""

LINGER_SECONDS = 600.0
"""How long a process looks for turns of others that died, after its own last turn."""


def _no_usage() -> Usage | None:
    return None


@dataclass(slots=True, kw_only=True)
class TrackedTurn:
    """What the heartbeat knows of a turn, and how many characters of it were flushed.

    Without a log no text is flushed: its end is stored already, or waits for the database. Without a record only the
    lease is renewed, as that of a turn which looks for a title.
    """

    record: TurnRecord | None = None
    usage: Callable[[], Usage | None] = _no_usage
    log: EventLog | None = None
    row: int = 0
    flushed: int = 0

    def news(self) -> PartialOutput | None:
        """What is to be flushed."""
        text = self.log.text.since(self.flushed) if self.log else ""
        return PartialOutput(row=self.row, position=self.flushed, text=text) if text else None

    def lease_update(self) -> leases.LeaseUpdate:
        """What is stored with the renewed lease."""
        if self.record is None:
            return leases.LeaseUpdate()
        return leases.LeaseUpdate(model=self.record.model, usage=self.usage() if self.log is None else None)


class Heartbeat:
    """The turns of one process. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._flushing = threading.Lock()
        self._thread = SupervisedThread("waldur-chat-watch", self._run, TIMEOUT_SECONDS)
        self._turns: dict[str, TrackedTurn] = {}
        self._last_turn = 0.0
        self._renewed = 0.0
        self._fails = False
        self.back_at = 0.0
        """When the database, which had failed, was there again; by the monotonic clock."""
        self._due: dict[str, float] = {}

    def add(self, turn_id: str, tracked: TrackedTurn) -> None:
        """A turn begins; `turn_id` is its own, or that of its title."""
        with self._lock:
            self._turns[turn_id] = tracked
            self._last_turn = time.monotonic()
            self._thread.go()

    def discard(self, turn_id: str) -> None:
        """A turn has ended: nothing of it is written any more, once `finish_flush()` has returned."""
        with self._lock:
            self._turns.pop(turn_id, None)

    def finish_flush(self) -> None:
        """Wait until what is being written is written, or given up."""
        while not (flushing := self._flushing).acquire(timeout=FLUSH_SECONDS):
            pass
        flushing.release()

    def _give_up_flushing(self) -> None:
        """What is being written may never be; should it be written after all, nobody reads it."""
        self._flushing = threading.Lock()

    def _run(self, run: Run) -> None:
        time.sleep(FLUSH_SECONDS)
        while self._goes_on(run):
            has_written, next_at = False, time.monotonic() + FLUSH_SECONDS
            try:
                with run.operation(self._give_up_flushing):
                    has_written = self._flush()
                    self._look_after()
            except Exception as error:  # Whatever it is, the turns must be looked after again, in a moment.
                logger.error("Stored turns could not be looked after: %s", type(error).__name__)
                self._fails = True
            finally:
                if not has_written:
                    connections.close_all()
            time.sleep(max(0.0, next_at - time.monotonic()))
        connections.close_all()

    def _goes_on(self, run: Run) -> bool:
        with self._lock:
            if self._turns:
                self._last_turn = time.monotonic()
            elif time.monotonic() > self._last_turn + LINGER_SECONDS:
                run.leave()
            return not run.is_over

    def _flush(self) -> bool:
        """Write what is new of all turns; tell whether there was anything."""
        with self._flushing:
            with self._lock:
                ours = list(self._turns.values())
            news = [(one, written) for one in ours if (written := one.news())]
            if news:
                partials.write([written for _, written in news])
            for one, written in news:
                one.flushed = max(one.flushed, written.position + len(written.text))
            return bool(news)

    def _look_after(self) -> None:
        with self._lock:
            ours = dict(self._turns)
        if ours and self._is_due("look", LOOK_SECONDS):
            for turn_id in leases.cancelled_turns():
                running_turns.cancel(turn_id)
        if self._is_due("renew", RENEW_SECONDS):
            self._renew(ours)

    def _renew(self, ours: dict[str, TrackedTurn]) -> None:
        """Say that ours live; end those that nobody said it of, unless this process, and so maybe others, is late."""
        leases.renew({turn_id: one.lease_update() for turn_id, one in ours.items()})
        now = time.monotonic()
        if self._fails:
            self._fails, self.back_at = False, now
        if now < self._renewed + leases.LEASE_SECONDS / 2:
            reaper_of_process().look()
        self._renewed = now

    def _is_due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(what, 0.0):
            return False
        self._due[what] = now + seconds
        return True


heartbeat_of_process = PerProcess(Heartbeat)
