"""Locks of rows. Threads are locked before all else, in the order of their keys, so that there is no deadlock.

SQLite has none for rows; there a write, whatever it changes, keeps all others out.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db import connections
from django.db.models import F, QuerySet

from waldur_chat.models import Message, SystemPrompt, Thread, Turn
from waldur_chat.store import sql

TURN = (
    "id",
    "uuid",
    "user_id",
    "thread_id",
    "purpose",
    "question_id",
    "is_new_question",
    "answer_id",
    "answer_index",
    "status",
    "reserved",
    "input_tokens",
    "output_tokens",
)
THREAD = (
    "id",
    "uuid",
    "name",
    "is_named",
    "message_count",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "title_input_tokens",
    "title_output_tokens",
    "models_used",
)
"""What the end of a turn needs of both, in the order of the model's fields."""


def rows(wanted: QuerySet[Thread] | QuerySet[SystemPrompt]) -> int:
    """Lock these rows until the transaction ends. Gives how many there are."""
    if connections[wanted.db].features.has_select_for_update:
        return len(wanted.order_by("pk").select_for_update().values_list("pk"))
    return wanted.update(modified=F("modified"))


def free(wanted: QuerySet[Thread]) -> list[int]:
    """Lock those of these rows that no other transaction has locked, until this one ends. Gives their keys."""
    keys = wanted.order_by("pk").values_list("pk", flat=True)
    if connections[wanted.db].features.has_select_for_update_skip_locked:
        return list(keys.select_for_update(skip_locked=True, of=("self",)))
    wanted.update(modified=F("modified"))  # SQLite refuses a write after a read where another process has written.
    return list(keys)


def turns(uuids: Sequence[UUID]) -> list[tuple[Turn, bool]]:
    """Lock the threads of these turns, then read the turns, each with whether its question is in force.

    Turns of one thread share the instance of it. Only what the end of a turn needs is read. The two statements are
    plain SQL so that they are sent together.
    """
    keys = [sql.prepared(Turn, {"uuid": uuid})[0] for uuid in uuids]
    shared: dict[int, Thread] = {}
    found = []
    for is_asked, *values in sql.rows(_reading(len(keys)), keys, after=[(_locking(len(keys)), keys)]):
        turn = sql.instance(Turn, TURN, values[: len(TURN)])
        if turn.thread_id and turn.thread_id not in shared:
            shared[turn.thread_id] = sql.instance(Thread, THREAD, values[len(TURN) :])
        if turn.thread_id:
            turn.thread = shared[turn.thread_id]
        found.append((turn, bool(is_asked)))
    return found


@sql.composed
def _locking(count: int) -> str:
    """Lock the threads of so many turns. Other transactions may still insert rows that point to them.

    This is a statement of its own: one that waits for a lock still reads all other rows as they were before it waited.
    Of two turns that end in one thread, the second would write sums in which the first is missing.
    """
    where = f"id IN (SELECT thread_id FROM {sql.table(Turn)} WHERE uuid IN ({sql.places(count)}))"  # noqa: S608  # No values in it.
    if sql.database().vendor == "postgresql":
        return f"SELECT id FROM {sql.table(Thread)} WHERE {where} ORDER BY id FOR NO KEY UPDATE"  # noqa: S608  # See above.
    return f"UPDATE {sql.table(Thread)} SET modified = modified WHERE {where}"  # noqa: S608  # See above.


@sql.composed
def _reading(count: int) -> str:
    turn, thread, question = map(sql.table, (Turn, Thread, Message))
    return (
        f"SELECT {question}.is_current, {sql.columns(Turn, TURN)}, {sql.columns(Thread, THREAD)} FROM {turn} "  # noqa: S608  # See above.
        f"LEFT JOIN {question} ON {question}.id = question_id "
        f"LEFT JOIN {thread} ON {thread}.id = {turn}.thread_id "
        f"WHERE {turn}.uuid IN ({sql.places(count)}) ORDER BY {turn}.id"
    )
