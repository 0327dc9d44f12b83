"""How many turns of a user, and of the site, run at once in all processes together.

Seats are numbered, and no two turns can have the same: so a limit cannot be overshot, however many processes take at
once, and nobody holds a lock. How turns wait for one is in `turns.slots`.
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


class _Full(Exception):
    """The scope has no free seat."""


def limits(settings: Settings, user_id: str) -> dict[str, int]:
    """How many seats each scope of a turn has; empty where nothing is limited beyond the process."""
    of_user = settings.turns_per_user if user_id else None
    found = {f"user:{user_id}": of_user, SITE: settings.turns_per_site}
    return {scope: limit for scope, limit in found.items() if limit is not None}


def take(scopes: Mapping[str, int], turn: str, seconds: float) -> str:
    """Take a seat in each scope, or none and tell the scope that is full (empty: none is). Seats expire in time."""
    now = timezone.now()
    try:
        with transaction.atomic():
            # A write comes first: SQLite refuses a write after a read where another process has written.
            Seat.objects.filter(expires__lte=now).delete()
            for scope, limit in scopes.items():
                _take(Seat(scope=scope, turn=turn, expires=now + timedelta(seconds=seconds)), limit)
    except _Full as full:
        return str(full)
    return ""


def give_back(turn: str) -> None:
    """Give back the seats of a turn."""
    Seat.objects.filter(turn=turn).delete()


def _take(seat: Seat, limit: int) -> None:
    taken = set(Seat.objects.filter(scope=seat.scope).values_list("number", flat=True))
    free = [] if len(taken) >= limit else sorted(set(range(1, limit + 1)) - taken)
    random.shuffle(free)  # Others take at the same time; they had better not try the same one.
    for seat.number in free:
        try:
            with transaction.atomic():
                rows.insert(seat)
                return
        except IntegrityError:
            continue
    raise _Full(seat.scope)
