"""Concurrency slots: limit the running turns of a user, and of the site, across all processes.

Slots are numbered rows, and a unique constraint allows one turn per number. So no limit is exceeded, however many
processes acquire slots at once, and no lock is held. `waldur_chat.turns.slots` waits for free slots.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.models import Seat
from waldur_chat.store import rows

SITE = "site"


class _ScopeFull(Exception):
    """The scope has no free slot."""


def slot_limits(settings: Settings, user_id: str) -> dict[str, int]:
    """The number of slots by scope of a turn; empty if only the process limits it."""
    of_user = settings.turns_per_user if user_id else None
    limits = {f"user:{user_id}": of_user, SITE: settings.turns_per_site}
    return {scope: limit for scope, limit in limits.items() if limit is not None}


def acquire(scopes: Mapping[str, int], turn: str, seconds: float) -> str:
    """Acquire a slot in every scope, or none. Returns the scope that is full; empty if none is. Slots expire."""
    now = timezone.now()
    try:
        with transaction.atomic():
            # The write comes before reads: if another process writes after this transaction has read, SQLite refuses
            # its write at once (SQLITE_BUSY_SNAPSHOT, https://sqlite.org/rescode.html#busy_snapshot).
            Seat.objects.filter(expires__lte=now).delete()
            for scope, limit in scopes.items():
                _acquire_one(Seat(scope=scope, turn=turn, expires=now + timedelta(seconds=seconds)), limit)
    except _ScopeFull as full:
        return str(full)
    return ""


def release(turn: str) -> None:
    """Release the slots of a turn."""
    Seat.objects.filter(turn=turn).delete()


def _acquire_one(slot: Seat, limit: int) -> None:
    taken = set(Seat.objects.filter(scope=slot.scope).values_list("number", flat=True))
    free = [] if len(taken) >= limit else sorted(set(range(1, limit + 1)) - taken)
    random.shuffle(free)  # Concurrent processes rarely try the same number then.
    for slot.number in free:
        try:
            with transaction.atomic():  # A savepoint, since PostgreSQL aborts a transaction at its first error.
                rows.insert(slot)
                return
        except IntegrityError:
            continue
    raise _ScopeFull(slot.scope)
