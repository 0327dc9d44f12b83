"""Finds and ends turns whose process died.

Threads that a process has anyway look twice a second at the leases of all running turns. Dead turns are ended in a
thread of its own, since there may be hundreds.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection
from datetime import datetime
from functools import partial

from django.db import connections

from waldur_chat.engine import running_turns
from waldur_chat.runtime import tenants
from waldur_chat.runtime.supervised_thread import Run, SupervisedThread
from waldur_chat.runtime.tenants import PerTenant, Tenant
from waldur_chat.store.turns import interruption, leases

logger = logging.getLogger("waldur_chat.lifecycle")

LOOK_SECONDS = 0.5
"""The least time between two looks at the leases; see `heartbeat` for processes without turns."""

LONGEST_GAP_SECONDS = 2.0
"""As how much the time between two looks counts at most."""

RENEWED_SECONDS = 3.0
"""A lease that changed within these is that of a living turn, as far as one can tell; see `heartbeat.RENEW_SECONDS`."""

ENDED_SECONDS = 2.0
"""How long it takes to end a turn once its lease was the same for long enough: the next look may be a second away."""

TIMEOUT_SECONDS = 60.0
"""Long enough to end hundreds of turns."""


class LeaseObserver:
    """For how many seconds this process has seen each lease unchanged. Used from any thread.

    All times are of the monotonic clock of this process. The time between two looks counts up to
    `LONGEST_GAP_SECONDS`: whoever looks late, after a suspension or on a busy machine, must suppose that others are
    late, too, and gives them time to renew.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._unchanged: dict[datetime, float] = {}
        self.looked_at = -math.inf
        """When the last look ended."""

    def note(self, found: Collection[datetime], began: float, ended: float) -> None:
        """Take note of the leases of all running turns, as they were read between these times."""
        with self._lock:
            if began < self.looked_at:
                return  # Another thread has looked meanwhile, and may have read later.
            passed = min(began - self.looked_at, LONGEST_GAP_SECONDS)
            before = self._unchanged
            self._unchanged = {lease: before[lease] + passed if lease in before else 0.0 for lease in found}
            self.looked_at = ended

    def unchanged(self, seconds: float) -> list[datetime]:
        """The leases that did not change for so many seconds."""
        return [lease for lease, unchanged in self._unchanged.items() if unchanged >= seconds]

    def unchanged_seconds(self, lease: datetime) -> float:
        """For how long this lease did not change; 0 if it was not seen yet."""
        return self._unchanged.get(lease, 0.0)


class Reaper:
    """The reaper of one process and tenant. Used from any thread, within the schema of the tenant."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self.observer = LeaseObserver()
        self._thread = SupervisedThread(
            "waldur-chat-reaper", partial(tenants.run_within, tenant, self._run), TIMEOUT_SECONDS
        )

    def look(self) -> None:
        """Look at the leases, unless that was just done; start to end dead turns, unless that is running."""
        began = time.monotonic()
        if began < self.observer.looked_at + LOOK_SECONDS:
            return
        self.observer.note(leases.of_running_turns(), began, time.monotonic())
        if not self._thread.runs and self._dead():
            self._thread.start()

    def end_dead(self, **where: object) -> int:
        """End the turns that are known to be dead, of those that match; return their number."""
        dead = self._dead()
        return interruption.interrupt(dead, running_turns.find, **where) if dead else 0

    def retry_after(self, turn: str) -> int | None:
        """The seconds after which a turn, by id, has been ended if its process is dead; None if it seems to be alive.

        A process that did not look until now must first do so for the whole time.
        """
        lease = None if running_turns.find(turn) else leases.lease_of(turn)
        if lease is None:
            return None
        unchanged = self.observer.unchanged_seconds(lease)
        is_looking = time.monotonic() < self.observer.looked_at + LONGEST_GAP_SECONDS
        if is_looking and unchanged < RENEWED_SECONDS:
            return None
        return math.ceil(max(0.0, leases.unchanged_seconds() - unchanged) + ENDED_SECONDS)

    def _dead(self) -> list[datetime]:
        return self.observer.unchanged(leases.unchanged_seconds())

    def _run(self, run: Run) -> None:
        try:
            with run.operation():
                while self.end_dead():
                    pass  # Others may have died meanwhile.
        except Exception as error:  # Any error: the next look tries again.
            logger.error("Turns whose process died could not be ended: %s", type(error).__name__)
        finally:
            connections.close_all()


reaper_of_process = PerTenant(Reaper)
