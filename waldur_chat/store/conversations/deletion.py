"""Removes conversations with all that belongs to them. What they used stays in the ledger."""

from __future__ import annotations

from typing import Any, Literal

from django.db import transaction

from waldur_chat.models import Message, Piece, Reading, Session, Thread, Turn
from waldur_chat.store import locks, sql

Which = Literal["id", "session_id"]
"""The column that tells which conversations are meant."""


@transaction.atomic
def delete(thread: Thread) -> None:
    """Delete a conversation, its messages and its turns. That staff read it stays on record."""
    locks.rows(Thread.objects.filter(pk=thread.pk))
    _remove("id", thread.pk)


def erase(user: Any) -> None:
    """Delete all conversations of a user, the session that holds them, and the record of who read them."""
    while not _try_to_erase(user):
        pass


def _try_to_erase(user: Any) -> bool:
    """Nothing is done, and False, where a conversation began meanwhile: it may have to be locked before the others."""
    session = Session.objects.filter(user=user.pk).first()
    with transaction.atomic():
        if session:
            threads = Thread.objects.filter(session=session)
            locked = locks.rows(threads)
            sql.delete(Session, "id", [session.pk])  # From here on no conversation can begin in it.
            if threads.count() > locked:
                transaction.set_rollback(True)
                return False
            _remove("session_id", session.pk)
        Reading.objects.filter(owner=user.pk).delete()
    return True


def _remove(which: Which, key: int) -> None:
    """Delete these threads within a transaction, at whose end the database looks at foreign keys.

    They are locked, so that no turn begins in them. Running turns lose their thread and stay: their processes charge
    what they used, and store no answer.
    """
    turns = Turn.objects.filter(**{f"thread__{which}": key})
    Piece.objects.filter(turn__in=turns.values("pk")).delete()
    turns.filter(status=Turn.Status.RUNNING).update(thread=None, question=None, answer=None, is_cancelled=True)
    for model in (Turn, Message, Thread):
        sql.execute(_deleting(model, which), [key])


@sql.composed
def _deleting(model: type[Turn] | type[Message] | type[Thread], which: Which) -> str:
    """Delete threads, or what belongs to them, in one statement: `QuerySet.delete()` would read all of it first."""
    threads = f"SELECT id FROM {sql.table(Thread)} WHERE {which} = %s"  # noqa: S608  # No values in it.
    column = "id" if model is Thread else "thread_id"
    return f"DELETE FROM {sql.table(model)} WHERE {column} IN ({threads})"  # noqa: S608  # See above.
