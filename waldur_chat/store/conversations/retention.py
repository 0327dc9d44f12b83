"""Retention: delete conversations that were not used for long, and leftovers of turns. The ledger stays.

Each batch is one short transaction. It skips rows that another cleanup or a starting turn has locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from waldur_chat.models import Message, Seat, Thread, ToolCall, Turn
from waldur_chat.store import locks, sql

BATCH = 500
KEEP_TURNS = timedelta(days=1)
"""How long an ended turn without a conversation is kept, for the analysis of failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftovers:
    """Numbers of rows that are not needed any more."""

    turns: int
    slots: int


def unused_threads(before: datetime) -> QuerySet[Thread]:
    """Threads that were last used before this time and have no running turn."""
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING)
    unused: QuerySet[Thread] = Thread.objects.filter(~Exists(running), modified__lt=before)
    return unused


def delete_threads(before: datetime) -> Iterator[int]:
    """Delete unused threads with their messages and turns; yield the number of threads after each batch."""
    for keys in _batches(unused_threads(before)):
        yield _delete_threads(keys, before)


def leftovers() -> Leftovers:
    """Count what `delete_leftovers()` would delete."""
    return Leftovers(turns=_turns_without_thread().count(), slots=_expired_slots().count())


def delete_leftovers() -> Leftovers:
    """Delete ended turns without a conversation, and expired concurrency slots."""
    turns = sum(sql.delete(Turn, "id", keys) for keys in _batches(_turns_without_thread()))
    return Leftovers(turns=turns, slots=_expired_slots().delete()[0])


@transaction.atomic
def _delete_threads(keys: list[int], before: datetime) -> int:
    """Delete the threads that are still unused. They are locked first, so that no turn starts in them."""
    # Filtered again: a thread may have been used since its key was read.
    unused = locks.lock_available(unused_threads(before).filter(pk__in=keys))
    for model in (ToolCall, Turn, Message):
        sql.delete(model, "thread_id", unused)
    return sql.delete(Thread, "id", unused)


def _turns_without_thread() -> QuerySet[Turn]:
    turns: QuerySet[Turn] = Turn.objects.filter(thread=None, ended__lt=timezone.now() - KEEP_TURNS)
    return turns


def _expired_slots() -> QuerySet[Seat]:
    expired: QuerySet[Seat] = Seat.objects.filter(expires__lte=timezone.now())
    return expired


def _batches(rows: QuerySet[Any]) -> Iterator[list[int]]:
    """The keys of all rows in batches. Each starts after the previous one, so skipped rows do not recur."""
    last = 0
    while keys := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        yield keys
        last = keys[-1]
