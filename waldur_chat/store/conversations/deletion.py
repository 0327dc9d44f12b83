"""Removes conversations with all that belongs to them. What they used stays in the ledger."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from waldur_chat.models import Message, Piece, Reading, Session, Thread, Turn
from waldur_chat.store import locks


@transaction.atomic
def delete(thread: Thread) -> None:
    """Delete a conversation, its messages and its turns. That staff read it stays on record."""
    threads = Thread.objects.filter(pk=thread.pk)
    locks.rows(threads)
    _remove(threads)


def erase(user: Any) -> None:
    """Delete all conversations of a user, his session, and the record of who read them."""
    while not _try_to_erase(user):
        pass


def _try_to_erase(user: Any) -> bool:
    """Nothing is done, and False, where a conversation began meanwhile: it may have to be locked before the others."""
    keys = list(Session.objects.filter(user=user.pk).values_list("pk", flat=True))
    threads = Thread.objects.filter(session__in=keys)
    with transaction.atomic():
        locked = locks.rows(threads)
        _delete(Session.objects.filter(pk__in=keys))  # From here on no conversation can begin in it.
        if threads.count() > locked:
            transaction.set_rollback(True)
            return False
        _remove(threads)
        _delete(Reading.objects.filter(owner=user.pk))
    return True


def _remove(threads: QuerySet[Thread]) -> None:
    """Delete these threads within a transaction, at whose end the database looks at foreign keys.

    They are locked, so that no turn begins in them. Turns that run are left to their processes, which settle them; that
    they have lost their thread tells these that nobody wants the answer.
    """
    keys = threads.values("pk")
    turns = Turn.objects.filter(thread__in=keys)
    _delete(Piece.objects.filter(turn__in=turns.values("pk")))
    turns.filter(status=Turn.Status.RUNNING).update(thread=None, question=None, answer=None, is_cancelled=True)
    _delete(turns)
    _delete(Message.objects.filter(thread__in=keys))
    _delete(threads)


def _delete(rows: QuerySet[Any]) -> None:
    """Delete in one statement. Django's own way reads all rows first, to look for what refers to them."""
    rows._raw_delete(rows.db)
