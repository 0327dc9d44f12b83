"""Conversations: access, creation, changes by their owner, and totals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum

from waldur_chat import users
from waldur_chat.models import Session, Thread, Turn
from waldur_chat.models.conversations import NEW_CHAT
from waldur_chat.store.conversations import sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """Totals of conversations. `satisfaction_rate` is the share of positive ratings; None without ratings."""

    threads_total: int
    sessions_total: int
    users_total: int
    messages_total: int
    input_tokens_total: int
    output_tokens_total: int
    total_tokens: int
    flagged_total: int
    feedback_positive: int
    feedback_negative: int

    @property
    def satisfaction_rate(self) -> float | None:
        """Between 0 and 1."""
        rated = self.feedback_positive + self.feedback_negative
        return self.feedback_positive / rated if rated else None


def owned_by(user: Any) -> QuerySet[Thread]:
    """The user's own conversations, with session, owner and `running_turn`, the UUID of the turn that is running.

    The session is a subquery instead of a join, so that an index serves the order.
    """
    session = Session.objects.filter(user=user.pk).values("pk")[:1]
    threads: QuerySet[Thread] = _annotated().filter(session=session)
    return threads


def visible_to(user: Any) -> QuerySet[Thread]:
    """The conversations that a user may read: all for staff and support, else the user's own."""
    return _annotated() if users.sees_all(user) else owned_by(user)


def with_running_turns(user: Any) -> QuerySet[Thread]:
    """The user's own conversations that have a running turn, also one for a title."""
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING)
    threads: QuerySet[Thread] = owned_by(user).filter(Exists(running))
    return threads


def create(user: Any, *, name: str = "", is_archived: bool = False) -> Thread:
    """Create a conversation. A given name is not replaced by a title of a model."""
    session = sessions.get_or_create(user)
    thread = Thread(session=session, name=name or NEW_CHAT, is_named=bool(name), is_archived=is_archived)
    try:
        with transaction.atomic():  # A savepoint: the caller may be in a transaction, which must survive the error.
            thread.save(force_insert=True)
    except IntegrityError:
        if Session.objects.filter(pk=session.pk).exists():
            raise
        # The user has deleted all conversations meanwhile, and the session with them.
        return create(user, name=name, is_archived=is_archived)
    return thread


def rename(thread: Thread, name: str) -> None:
    """Set the name, which no title of a model replaces from now on."""
    thread.name, thread.is_named = name, True
    Thread.objects.filter(pk=thread.pk).update(name=name, is_named=True)


def set_archived(thread: Thread, is_archived: bool) -> None:
    """Archive or restore the thread. This does not count as use, so `modified` stays."""
    thread.is_archived = is_archived
    Thread.objects.filter(pk=thread.pk).update(is_archived=is_archived)


def stats(threads: QuerySet[Thread]) -> Stats:
    """Totals of these threads. One query."""
    sums = threads.order_by().aggregate(
        threads_total=Count("pk"),
        sessions_total=Count("session", distinct=True),
        flagged_total=Count("pk", filter=Q(is_flagged=True)),
        **{
            name: Sum(column, default=0)
            for name, column in {
                "messages_total": "message_count",
                "input_tokens_total": "input_tokens",
                "output_tokens_total": "output_tokens",
                "total_tokens": "total_tokens",
                "feedback_positive": "positive_feedback",
                "feedback_negative": "negative_feedback",
            }.items()
        },
    )
    return Stats(users_total=sums["sessions_total"], **sums)  # Each user has one session.


def _annotated() -> QuerySet[Thread]:
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER)
    threads: QuerySet[Thread] = Thread.objects.select_related("session__user").annotate(
        running_turn=Subquery(running.values("uuid"))
    )
    return threads
