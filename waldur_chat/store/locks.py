"""Row locks. Threads are locked before all other rows, in the order of their keys, which prevents deadlocks.

SQLite has no row locks; there any write locks the whole database, so a write that changes nothing takes their place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

from django.db import OperationalError, connections
from django.db.models import F, QuerySet

from waldur_chat.models import Message, SystemPrompt, Thread, Turn
from waldur_chat.store import sql

P = ParamSpec("P")
T = TypeVar("T")

ATTEMPTS = 3

DEADLOCK = "40P01"
"""https://www.postgresql.org/docs/current/errcodes-appendix.html"""

TURN_FIELDS = (
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
    "tool_events",
)
THREAD_FIELDS = (
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
"""The fields that finishing a turn reads, in the order in which the models define them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedTurn:
    """A turn whose thread is locked, with the state of its question. Without a question, the status is empty."""

    turn: Turn
    is_question_current: bool = False
    question_status: str = ""


def retried_on_deadlock(write: Callable[P, T]) -> Callable[P, T]:
    """Repeat a transaction that the database has rolled back to end a deadlock, for writes that have no order."""

    @wraps(write)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return write(*args, **kwargs)
            except OperationalError as error:
                if _sql_state(error) != DEADLOCK:
                    raise
        return write(*args, **kwargs)

    return repeated


def _sql_state(error: OperationalError) -> str | None:
    """The SQLSTATE as psycopg 3 or psycopg 2 has it."""
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)


def lock(queryset: QuerySet[Thread] | QuerySet[SystemPrompt]) -> int:
    """Lock these rows until the transaction ends; return their number."""
    if connections[queryset.db].features.has_select_for_update:
        # All transactions lock in the order of keys, so no two wait for each other.
        return len(queryset.order_by("pk").select_for_update().values_list("pk"))
    return queryset.update(modified=F("modified"))


def lock_available(queryset: QuerySet[Thread]) -> list[int]:
    """Lock the rows that no other transaction has locked, until this transaction ends; return their keys."""
    keys = queryset.order_by("pk").values_list("pk", flat=True)
    if connections[queryset.db].features.has_select_for_update_skip_locked:
        # `of`: PostgreSQL then locks the threads alone, whatever the queryset joins.
        return list(keys.select_for_update(skip_locked=True, of=("self",)))
    # The write comes before the read: if another process writes after this transaction has read, SQLite refuses its
    # write at once, without waiting (SQLITE_BUSY_SNAPSHOT, https://sqlite.org/rescode.html#busy_snapshot).
    queryset.update(modified=F("modified"))
    return list(keys)


def lock_turns(uuids: Sequence[UUID]) -> list[LockedTurn]:
    """Lock the threads of these turns, then read the turns, each with the state of its question.

    Turns of the same thread share one `Thread` instance, so that their sums add up in it. Only the fields that
    finishing needs are read. Both statements are plain SQL so that they can be sent in one exchange.
    """
    keys = [sql.db_values(Turn, {"uuid": uuid})[0] for uuid in uuids]
    threads: dict[int, Thread] = {}
    turns = []
    lock_threads = (_lock_threads_sql(len(keys)), keys)
    for is_question_current, question_status, *values in sql.fetch(
        _select_turns_sql(len(keys)), keys, after=[lock_threads]
    ):
        turn = sql.build_instance(Turn, TURN_FIELDS, values[: len(TURN_FIELDS)])
        if turn.thread_id and turn.thread_id not in threads:
            threads[turn.thread_id] = sql.build_instance(Thread, THREAD_FIELDS, values[len(TURN_FIELDS) :])
        if turn.thread_id:
            turn.thread = threads[turn.thread_id]
        is_current = bool(is_question_current)
        turns.append(LockedTurn(turn=turn, is_question_current=is_current, question_status=question_status or ""))
    return turns


@sql.cached_statement
def _lock_threads_sql(count: int) -> str:
    """Lock the threads of this many turns. Other transactions can still insert rows that refer to the threads.

    The lock is a statement of its own because a single locking SELECT with joins sees the joined rows as of its own
    start, before it waited (READ COMMITTED, https://www.postgresql.org/docs/current/transaction-iso.html). If two turns
    of one thread ended at once, the second would write sums that lack the first.
    """
    where = f"id IN (SELECT thread_id FROM {sql.table(Turn)} WHERE uuid IN ({sql.placeholders(count)}))"  # noqa: S608  # No values in it.
    if sql.database().vendor == "postgresql":
        return f"SELECT id FROM {sql.table(Thread)} WHERE {where} ORDER BY id FOR NO KEY UPDATE"  # noqa: S608  # See above.
    return f"UPDATE {sql.table(Thread)} SET modified = modified WHERE {where}"  # noqa: S608  # See above.


@sql.cached_statement
def _select_turns_sql(count: int) -> str:
    turn, thread, question = map(sql.table, (Turn, Thread, Message))
    columns = f"{sql.columns(Turn, TURN_FIELDS)}, {sql.columns(Thread, THREAD_FIELDS)}"
    return (
        f"SELECT {question}.is_current, {question}.status, {columns} FROM {turn} "  # noqa: S608  # See above.
        f"LEFT JOIN {question} ON {question}.id = question_id "
        f"LEFT JOIN {thread} ON {thread}.id = {turn}.thread_id "
        f"WHERE {turn}.uuid IN ({sql.placeholders(count)}) ORDER BY {turn}.id"
    )
