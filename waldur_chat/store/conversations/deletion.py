"""Delete conversations with everything that belongs to them, except their usage in the ledger."""

from __future__ import annotations

from typing import Any, Literal

from django.db import transaction
from django.db.models import Model

from waldur_chat.models import Message, Piece, Reading, Session, Thread, ToolCall, Turn
from waldur_chat.store import locks, sql

ThreadColumn = Literal["id", "session_id"]
"""The column of `Thread` that selects the conversations."""


@transaction.atomic
def delete(thread: Thread) -> None:
    """Delete a conversation, its messages and its turns. Audit entries about it stay."""
    locks.lock(Thread.objects.filter(pk=thread.pk))
    _delete_threads("id", thread.pk)


def erase(user: Any) -> None:
    """Delete all conversations of a user, their session, their calls of tools, and the audit entries about them."""
    while not _try_to_erase(user):
        pass


def _try_to_erase(user: Any) -> bool:
    """Return False, with nothing deleted, if a conversation was created meanwhile: locks must be taken in key order."""
    session = Session.objects.filter(user=user.pk).first()
    with transaction.atomic():
        if session:
            threads = Thread.objects.filter(session=session)
            locked = locks.lock(threads)
            sql.delete(Session, "id", [session.pk])  # From here on no conversation can be created in it.
            if threads.count() > locked:
                transaction.set_rollback(True)
                return False
            _delete_threads("session_id", session.pk)
        ToolCall.objects.filter(user=user.pk, thread=None).delete()
        Reading.objects.filter(owner=user.pk).delete()
    return True


def _delete_threads(column: ThreadColumn, key: int) -> None:
    """Delete locked threads within a transaction, which checks foreign keys at its end (they are deferred).

    The locks prevent new turns. Running turns stay without a thread: their processes charge their usage and store no
    answer.
    """
    turns = Turn.objects.filter(**{f"thread__{column}": key})
    # The DELETE statements below do not cascade, so rows that refer to turns are deleted first.
    Piece.objects.filter(turn__in=turns.values("pk")).delete()
    # The process of a running turn sees `is_cancelled` at its next heartbeat.
    turns.filter(status=Turn.Status.RUNNING).update(thread=None, question=None, answer=None, is_cancelled=True)
    for model in (ToolCall, Turn, Message, Thread):
        sql.execute(_delete_sql(model, column), [key])


@sql.cached_statement
def _delete_sql(model: type[Model], column: ThreadColumn) -> str:
    """Delete threads or their rows in one statement; `QuerySet.delete()` would fetch all of them first."""
    threads = f"SELECT id FROM {sql.table(Thread)} WHERE {column} = %s"  # noqa: S608  # No values in it.
    reference = "id" if model is Thread else "thread_id"
    return f"DELETE FROM {sql.table(model)} WHERE {reference} IN ({threads})"  # noqa: S608  # See above.
