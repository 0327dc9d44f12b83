"""The heartbeat of this process's recorded turns: one thread, which continues for a while after the last turn.

On hosts with tenants each tenant has one of its own.

Every 1.5 seconds it renews the leases of all turns, and stores what models have reported. Four times a second it
flushes their text in one statement, and adjusts their reservations of tokens where tokens are limited. Twice a second
it cancels turns with a cancel request from any process, and looks for turns whose process died; without turns it only
looks, once a second. A turn that waits for tokens wakes it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.db import connections

from waldur_chat.engine import running_turns
from waldur_chat.engine.event_log import EventLog
from waldur_chat.events import Usage
from waldur_chat.record import TurnRecord
from waldur_chat.runtime import tenants
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.runtime.tenants import PerTenant, Tenant
from waldur_chat.store.turns import leases, partials
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.turns import held_tokens
from waldur_chat.turns.held_tokens import HeldTokens
from waldur_chat.turns.reaper import reaper_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

FLUSH_SECONDS = 0.25
POLL_SECONDS = 0.5
IDLE_POLL_SECONDS = 1.0
RENEW_SECONDS = 1.5
ADJUST_SECONDS = 0.02
"""The least time between two adjustments that turns wait for."""

TIMEOUT_SECONDS = 3.0
"""How long a round may take before the thread is replaced: soon enough to renew the leases in time."""

LINGER_SECONDS = 600.0
"""How long a process continues to look for dead turns after its own last turn."""

TENANT_LINGER_SECONDS = 30.0
"""The same on hosts with tenants, of which there may be thousands."""


def _no_usage() -> Usage | None:
    return None


@dataclass(slots=True, kw_only=True)
class TrackedTurn:
    """What the heartbeat knows of a turn, and how many of its characters were flushed.

    Without a log no text is flushed: the outcome is stored already, or waits for the database. Without a record only
    the lease is renewed, as for a turn that generates a title; `cancel` stops such a turn, from any thread. `held` is
    what is held for it where tokens are limited, `tenant` where the turn is stored.
    """

    record: TurnRecord | None = None
    cancel: Callable[[], None] | None = None
    usage: Callable[[], Usage | None] = _no_usage
    log: EventLog | None = None
    tenant: Tenant | None = None
    held: HeldTokens | None = None
    flushed: int = 0

    def unflushed(self, turn_id: str) -> PartialOutput | None:
        """The text that is not flushed yet."""
        text = self.log.text.since(self.flushed) if self.log else ""
        return PartialOutput(turn=turn_id, position=self.flushed, text=text) if text else None

    def lease_update(self) -> leases.LeaseUpdate:
        """What is stored with the renewed lease."""
        if self.record is None:
            return leases.LeaseUpdate()
        return leases.LeaseUpdate(model=self.record.model, usage=self.usage() if self.log is None else None)


class Heartbeat:
    """Tracks the turns of one process and tenant. Used from any thread."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self._tenant = tenant
        self._lock = threading.RLock()
        self._flushing = threading.Lock()
        self._thread = SupervisedThread(
            "waldur-chat-heartbeat", partial(tenants.run_within, tenant, self._run), TIMEOUT_SECONDS
        )
        self._turns: dict[str, TrackedTurn] = {}
        self._last_turn = 0.0
        self._renew_at = 0.0
        self._poll_at = 0.0
        self._is_failing = False
        self.database_back_at = 0.0
        """When the database answered again after a failure, by the monotonic clock."""
        self._requested = threading.Event()

    def add(self, turn_id: str, tracked: TrackedTurn) -> None:
        """Track a turn; `turn_id` is its own, or that of its title."""
        with self._lock:
            self._turns[turn_id] = tracked
            self._last_turn = time.monotonic()
            self._poll_at = min(self._poll_at, self._last_turn + POLL_SECONDS)
            self._thread.start()

    def look_for_dead_turns(self) -> None:
        """Look for turns of other processes that died, for as long as after a turn of this process."""
        with self._lock:
            self._last_turn = time.monotonic()
            self._thread.start()

    def discard(self, turn_id: str) -> None:
        """Stop tracking a turn. After `finish_flush()` nothing more of it is written."""
        with self._lock:
            self._turns.pop(turn_id, None)

    def request_adjustment(self) -> None:
        """Adjust reservations at once: a turn waits for a larger one."""
        self._requested.set()

    def finish_flush(self) -> None:
        """Wait until the current flush or adjustment has ended or was abandoned."""
        # The attribute is read in each round, since _abandon_flush() may replace the lock.
        while not (flushing := self._flushing).acquire(timeout=FLUSH_SECONDS):
            pass
        flushing.release()

    def _abandon_flush(self) -> None:
        """Replace the lock of a blocked flush. What it may still write is never read."""
        self._flushing = threading.Lock()

    def _run(self, run: Run) -> None:
        self._wait(run, time.monotonic() + FLUSH_SECONDS)
        while self._should_continue(run):
            has_flushed, next_at = False, time.monotonic() + FLUSH_SECONDS
            try:
                with run.operation(self._abandon_flush):
                    self._renew()  # First: a living turn must not be taken for dead because text could not be written.
                    has_flushed = self._flush()
                    self._adjust()
                    self._poll()
            except Exception as error:  # Any error: the turns need the next round.
                self._failed(error)
            finally:
                # While text is written, a connection is worth keeping; otherwise others may need it.
                if not has_flushed:
                    connections.close_all()
            self._wait(run, next_at)
        connections.close_all()

    def _wait(self, run: Run, until: float) -> None:
        """Wait for the next round; meanwhile adjust reservations when turns wait for that."""
        while (seconds := until - time.monotonic()) > 0 and not run.is_over:
            if self._requested.wait(seconds):
                self._requested.clear()
                try:
                    with run.operation(self._abandon_flush):
                        self._adjust()
                except Exception as error:  # As in _run().
                    self._failed(error)
                # Turns that ask meanwhile share the next transaction.
                time.sleep(min(ADJUST_SECONDS, max(0.0, until - time.monotonic())))

    def _failed(self, error: Exception) -> None:
        logger.error("Running turns could not be updated: %s", type(error).__name__)
        self._is_failing = True

    def _should_continue(self, run: Run) -> bool:
        with self._lock:
            if self._turns:
                self._last_turn = time.monotonic()
            elif time.monotonic() > self._last_turn + self._linger_seconds():
                run.finish()
            return not run.is_over

    def _linger_seconds(self) -> float:
        return min(LINGER_SECONDS, TENANT_LINGER_SECONDS) if self._tenant else LINGER_SECONDS

    def _flush(self) -> bool:
        """Write the new text of all turns; returns whether there was any."""
        with self._flushing:
            with self._lock:
                turns = dict(self._turns)
            outputs = [(one, output) for turn_id, one in turns.items() if (output := one.unflushed(turn_id))]
            if outputs:
                partials.write([output for _, output in outputs])
            for one, output in outputs:
                one.flushed = max(one.flushed, output.position + len(output.text))
            return bool(outputs)

    def _adjust(self) -> None:
        """Adjust the reservations of turns that are not ended yet. Their end waits for it as for a flush."""
        with self._flushing:
            with self._lock:
                held = [one.held for one in self._turns.values() if one.held]
            held_tokens.adjust(held)

    def _renew(self) -> None:
        """Renew the leases if that is due. After a failure it soon is, but not in the next round, which flushes."""
        now = time.monotonic()
        if now < self._renew_at:
            return
        self._renew_at = now + min(POLL_SECONDS, RENEW_SECONDS)
        with self._lock:
            turns = dict(self._turns)
        leases.renew({turn_id: one.lease_update() for turn_id, one in turns.items()})
        now = time.monotonic()
        self._renew_at = now + RENEW_SECONDS
        if self._is_failing:
            self._is_failing, self.database_back_at = False, now
        held_tokens.reports_of_process(self._tenant).store()

    def _poll(self) -> None:
        """Cancel turns as requested, and look for those whose process died, if it is time for that."""
        if time.monotonic() < self._poll_at:
            return
        with self._lock:
            turns = dict(self._turns)
            self._poll_at = time.monotonic() + (POLL_SECONDS if turns else IDLE_POLL_SECONDS)
        for turn_id in leases.cancelled_turns() if turns else ():
            running_turns.cancel(turn_id)
            if turn_id in turns and (cancel := turns[turn_id].cancel):
                cancel()
        reaper_of_process(self._tenant).look()


heartbeat_of_process = PerTenant(Heartbeat)
