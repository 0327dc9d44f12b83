"""Conversations: whose they are, and what their owner and staff do with them."""

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
    """Totals of conversations. `satisfaction_rate` is the part of good ratings among all, None where there are none."""

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


def own(user: Any) -> QuerySet[Thread]:
    """The user's own conversations, with session, owner and `running_turn`, the UUID of an answer that is written now.

    The session is a subquery, not a join, so that an index gives them in their order.
    """
    session = Session.objects.filter(user=user.pk).values("pk")[:1]
    mine: QuerySet[Thread] = _all().filter(session=session)
    return mine


def visible_to(user: Any) -> QuerySet[Thread]:
    """The conversations that a user may read: all for staff and support, else the user's own."""
    return _all() if users.sees_all(user) else own(user)


def answering(user: Any) -> QuerySet[Thread]:
    """The user's own conversations in which something runs."""
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING)
    found: QuerySet[Thread] = own(user).filter(Exists(running))
    return found


def create(user: Any, *, name: str = "", is_archived: bool = False) -> Thread:
    """A new conversation; a name that is given is kept."""
    session = sessions.current(user)
    thread = Thread(session=session, name=name or NEW_CHAT, is_named=bool(name), is_archived=is_archived)
    try:
        with transaction.atomic():
            thread.save(force_insert=True)
    except IntegrityError:
        if Session.objects.filter(pk=session.pk).exists():
            raise
        return create(user, name=name, is_archived=is_archived)  # The user has erased all of them meanwhile.
    return thread


def rename(thread: Thread, name: str) -> None:
    """Give it a name, which no title of a model's replaces."""
    thread.name, thread.is_named = name, True
    Thread.objects.filter(pk=thread.pk).update(name=name, is_named=True)


def set_archived(thread: Thread, is_archived: bool) -> None:
    """Archive it, or bring it back. That is no use of it, so `modified` stays."""
    thread.is_archived = is_archived
    Thread.objects.filter(pk=thread.pk).update(is_archived=is_archived)


def stats(threads: QuerySet[Thread]) -> Stats:
    """What these threads add up to. One query."""
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
    return Stats(users_total=sums["sessions_total"], **sums)  # Each has one.


def _all() -> QuerySet[Thread]:
    running = Turn.objects.filter(thread=OuterRef("pk"), status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER)
    threads: QuerySet[Thread] = Thread.objects.select_related("session__user").annotate(
        running_turn=Subquery(running.values("uuid"))
    )
    return threads
