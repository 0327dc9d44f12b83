"""Locks of rows. Threads go before all else that a transaction locks, in the order of their keys: no circle waits.

SQLite has none for rows; there a write, whatever it changes, keeps all others out.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connections
from django.db.models import F, QuerySet
from django.utils import timezone

from waldur_chat.models import Message, SystemPrompt, Thread, Turn
from waldur_chat.store import fetched, sql


def rows(wanted: QuerySet[Thread] | QuerySet[SystemPrompt]) -> int:
    """Lock these rows until the transaction ends. Gives how many there are."""
    if connections[wanted.db].features.has_select_for_update:
        return len(wanted.order_by("pk").select_for_update().values_list("pk"))
    return wanted.update(modified=F("modified"))


def turns(uuids: Sequence[UUID]) -> list[tuple[Turn, bool]]:
    """The turns once their threads are locked, which goes before all else, and whether each question is in force.

    Turns of one thread share it. Points in time are not read.
    """
    keys = [sql.stored(Turn, "uuid", uuid) for uuid in uuids]
    shared: dict[int, Thread] = {}
    found = []
    for is_asked, *values in sql.rows(_reading(len(keys)), keys, after=[_locking(keys)]):
        size = fetched.size(Turn, has_times=False)
        turn = fetched.instance(Turn, values[:size], has_times=False)
        if turn.thread_id:
            turn.thread = shared.setdefault(turn.thread_id, fetched.instance(Thread, values[size:], has_times=False))
        found.append((turn, bool(is_asked)))
    return found


def _locking(keys: Sequence[object]) -> sql.Act:
    """Lock the threads of turns with these ids; rows may still point to them meanwhile."""
    if sql.database().vendor == "postgresql":
        return _selecting(len(keys)), keys
    return _touching(len(keys)), [sql.stored(Thread, "modified", timezone.now()), *keys]


@sql.composed
def _selecting(count: int) -> str:
    return f"SELECT id FROM {sql.table(Thread)} WHERE {_of_turns(count)} ORDER BY id FOR NO KEY UPDATE"  # noqa: S608  # No values in it.


@sql.composed
def _touching(count: int) -> str:
    return f"UPDATE {sql.table(Thread)} SET modified = %s WHERE {_of_turns(count)}"  # noqa: S608  # See above.


def _of_turns(count: int) -> str:
    return f"id IN (SELECT thread_id FROM {sql.table(Turn)} WHERE uuid IN ({sql.places(count)}))"  # noqa: S608  # See above.


@sql.composed
def _reading(count: int) -> str:
    turn, thread, question = map(sql.table, (Turn, Thread, Message))
    read = (
        f"{question}.is_current, {fetched.columns(Turn, has_times=False)}, {fetched.columns(Thread, has_times=False)}"
    )
    return (
        f"SELECT {read} FROM {turn} "  # noqa: S608  # See above.
        f"LEFT JOIN {question} ON {question}.id = question_id "
        f"LEFT JOIN {thread} ON {thread}.id = {turn}.thread_id "
        f"WHERE {turn}.uuid IN ({sql.places(count)}) ORDER BY {turn}.id"
    )
