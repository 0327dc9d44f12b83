"""The heartbeat of this process's recorded turns: one thread, which continues for a while after the last turn.

Four times a second it flushes the text of all turns in one statement; twice a second it cancels turns with a cancel
request from any process; every 1.5 seconds it renews the leases and starts the reaper for expired ones.
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
POLL_SECONDS = 0.5
RENEW_SECONDS = 1.5
TIMEOUT_SECONDS = leases.LEASE_SECONDS / 2
"""How long a round may take before the thread is replaced: soon enough to renew the leases in time."""

LINGER_SECONDS = 600.0
"""How long a process continues to look for expired turns after its own last turn."""


def _no_usage() -> Usage | None:
    return None


@dataclass(slots=True, kw_only=True)
class TrackedTurn:
    """What the heartbeat knows of a turn, and how many of its characters were flushed.

    Without a log no text is flushed: the outcome is stored already, or waits for the database. Without a record only
    the lease is renewed, as for a turn that generates a title.
    """

    record: TurnRecord | None = None
    usage: Callable[[], Usage | None] = _no_usage
    log: EventLog | None = None
    row: int = 0
    flushed: int = 0

    def unflushed(self) -> PartialOutput | None:
        """The text that is not flushed yet."""
        text = self.log.text.since(self.flushed) if self.log else ""
        return PartialOutput(row=self.row, position=self.flushed, text=text) if text else None

    def lease_update(self) -> leases.LeaseUpdate:
        """What is stored with the renewed lease."""
        if self.record is None:
            return leases.LeaseUpdate()
        return leases.LeaseUpdate(model=self.record.model, usage=self.usage() if self.log is None else None)


class Heartbeat:
    """Tracks the turns of one process. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._flushing = threading.Lock()
        self._thread = SupervisedThread("waldur-chat-heartbeat", self._run, TIMEOUT_SECONDS)
        self._turns: dict[str, TrackedTurn] = {}
        self._last_turn = 0.0
        self._renewed = 0.0
        self._is_failing = False
        self.database_back_at = 0.0
        """When the database answered again after a failure, by the monotonic clock."""
        self._due: dict[str, float] = {}

    def add(self, turn_id: str, tracked: TrackedTurn) -> None:
        """Track a turn; `turn_id` is its own, or that of its title."""
        with self._lock:
            self._turns[turn_id] = tracked
            self._last_turn = time.monotonic()
            self._thread.start()

    def discard(self, turn_id: str) -> None:
        """Stop tracking a turn. After `finish_flush()` nothing more of it is written."""
        with self._lock:
            self._turns.pop(turn_id, None)

    def finish_flush(self) -> None:
        """Wait until the current flush has ended or was abandoned."""
        # The attribute is read in each round, since _abandon_flush() may replace the lock.
        while not (flushing := self._flushing).acquire(timeout=FLUSH_SECONDS):
            pass
        flushing.release()

    def _abandon_flush(self) -> None:
        """Replace the lock of a blocked flush. What it may still write is never read."""
        self._flushing = threading.Lock()

    def _run(self, run: Run) -> None:
        time.sleep(FLUSH_SECONDS)
        while self._should_continue(run):
            has_flushed, next_at = False, time.monotonic() + FLUSH_SECONDS
            try:
                with run.operation(self._abandon_flush):
                    has_flushed = self._flush()
                    self._update_turns()
            except Exception as error:  # Any error: the turns need the next round.
                logger.error("Running turns could not be updated: %s", type(error).__name__)
                self._is_failing = True
            finally:
                # While text is written, a connection is worth keeping; otherwise others may need it.
                if not has_flushed:
                    connections.close_all()
            time.sleep(max(0.0, next_at - time.monotonic()))
        connections.close_all()

    def _should_continue(self, run: Run) -> bool:
        with self._lock:
            if self._turns:
                self._last_turn = time.monotonic()
            elif time.monotonic() > self._last_turn + LINGER_SECONDS:
                run.finish()
            return not run.is_over

    def _flush(self) -> bool:
        """Write the new text of all turns; returns whether there was any."""
        with self._flushing:
            with self._lock:
                turns = list(self._turns.values())
            outputs = [(one, output) for one in turns if (output := one.unflushed())]
            if outputs:
                partials.write([output for _, output in outputs])
            for one, output in outputs:
                one.flushed = max(one.flushed, output.position + len(output.text))
            return bool(outputs)

    def _update_turns(self) -> None:
        with self._lock:
            turns = dict(self._turns)
        if turns and self._is_due("poll", POLL_SECONDS):
            for turn_id in leases.cancelled_turns():
                running_turns.cancel(turn_id)
        if self._is_due("renew", RENEW_SECONDS):
            self._renew(turns)

    def _renew(self, turns: dict[str, TrackedTurn]) -> None:
        """Renew the leases. Start the reaper, unless this process is late: then others may be late, too."""
        leases.renew({turn_id: one.lease_update() for turn_id, one in turns.items()})
        now = time.monotonic()
        if self._is_failing:
            self._is_failing, self.database_back_at = False, now
        # Late rounds mean a slow database: leases of living turns may have expired, too.
        if now < self._renewed + leases.LEASE_SECONDS / 2:
            reaper_of_process().reap_expired()
        self._renewed = now

    def _is_due(self, task: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._due.get(task, 0.0):
            return False
        self._due[task] = now + seconds
        return True


heartbeat_of_process = PerProcess(Heartbeat)
