"""What goes in time: conversations that nobody used for long, and what turns leave behind. The ledger stays.

Each batch is one short transaction, and takes no row that another cleaner or a beginning turn has.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from waldur_chat.models import Message, Seat, Thread, Turn
from waldur_chat.store import locks, sql

BATCH = 500
TURNS_STAY = timedelta(days=1)
"""How long an ended turn that belongs to no conversation is kept, for whoever looks into what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Rows that nobody needs any more."""

    turns: int
    seats: int


def unused_threads(before: datetime) -> QuerySet[Thread]:
    """Threads whose last use was before this time and in which no turn runs."""
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING)
    unused: QuerySet[Thread] = Thread.objects.filter(~Exists(running), modified__lt=before)
    return unused


def delete_threads(before: datetime) -> Iterator[int]:
    """Delete the unused threads with their messages and turns, and tell after each batch how many it were."""
    for keys in _batches(unused_threads(before)):
        yield _delete_threads(keys, before)


def leftovers() -> Leftovers:
    """How many rows `delete_leftovers()` would find."""
    return Leftovers(turns=_lost_turns().count(), seats=_expired_seats().count())


def delete_leftovers() -> Leftovers:
    """Delete ended turns that belong to no conversation, and expired seats."""
    turns = sum(sql.delete(Turn, "id", keys) for keys in _batches(_lost_turns()))
    return Leftovers(turns=turns, seats=_expired_seats().delete()[0])


@transaction.atomic
def _delete_threads(keys: list[int], before: datetime) -> int:
    """Delete those of the threads that are still unused, and which are locked first: no turn begins in them."""
    unused = locks.free(unused_threads(before).filter(pk__in=keys))
    for model in (Turn, Message):
        sql.delete(model, "thread_id", unused)
    return sql.delete(Thread, "id", unused)


def _lost_turns() -> QuerySet[Turn]:
    lost: QuerySet[Turn] = Turn.objects.filter(thread=None, ended__lt=timezone.now() - TURNS_STAY)
    return lost


def _expired_seats() -> QuerySet[Seat]:
    expired: QuerySet[Seat] = Seat.objects.filter(expires__lte=timezone.now())
    return expired


def _batches(rows: QuerySet[Any]) -> Iterator[list[int]]:
    """The keys of all rows, some at a time; each batch begins after the last one, whether that was deleted or not."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        yield keys
        last = keys[-1]
