"""Messages as the API lists them; rating and writing by users. `store.turns` writes the messages of turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop

from waldur_chat import users
from waldur_chat.errors import InvalidQuestion, ThreadBusy, ThreadNotFound
from waldur_chat.models import Message, Reading, Session, Thread, Turn
from waldur_chat.store import locks
from waldur_chat.store.turns.approvals.superseding import supersede
from waldur_chat.store.turns.position import NOT_THE_LAST

NEWEST = 1000
"""The most messages that are listed if no conversation is named."""

NOT_AN_ANSWER = gettext_noop("Only answers of the assistant can be rated.")


def owned_by(user: Any) -> QuerySet[Message]:
    """The messages of the user's own conversations."""
    # A scalar subquery instead of a join, see `threads.owned_by()`.
    session = Session.objects.filter(user=user.pk).values("pk")[:1]
    messages: QuerySet[Message] = _annotated().filter(thread__session=session)
    return messages


def visible_to(user: Any) -> QuerySet[Message]:
    """The messages that a user may read: all for staff and support, else the user's own."""
    return _annotated() if users.sees_all(user) else owned_by(user)


def only_current(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Exclude replaced versions."""
    remaining: QuerySet[Message] = messages.filter(is_current=True)
    return remaining


def in_order(messages: QuerySet[Message]) -> QuerySet[Message]:
    """In the order of the conversation; versions of one message, oldest first."""
    ordered: QuerySet[Message] = messages.order_by("thread_id", "sequence_index", "is_current", "id")
    return ordered


def newest(messages: QuerySet[Message]) -> QuerySet[Message]:
    """The newest messages, in the order of their conversations."""
    keys = messages.order_by("-id").values("pk")[:NEWEST]
    return in_order(_annotated().filter(pk__in=list(keys.values_list("pk", flat=True))))


def versions(message: Message) -> QuerySet[Message]:
    """All versions of a message, oldest first."""
    same_place = _annotated().filter(thread=message.thread_id, sequence_index=message.sequence_index)
    return in_order(same_place)


def rate(message: Message, *, score: bool, comment: str, category: str) -> Message:
    """Rate an answer; this replaces an earlier rating. Raises `InvalidQuestion` and `ThreadNotFound`."""
    if message.role != Message.Role.ASSISTANT:
        raise InvalidQuestion("score", NOT_AN_ANSWER)
    with transaction.atomic():
        _lock(message.thread_id)
        Message.objects.filter(pk=message.pk).update(
            feedback_score=score,
            feedback_comment=comment,
            feedback_category=category,
            feedback_submitted_at=timezone.now(),
        )
        _count_feedback(message.thread_id)
        return _get(message.pk)


@transaction.atomic
def write_user_message(thread: int, text: str, replaces: Message | None = None) -> Message:
    """Write a message of the user, as the next one or as a new version of their last one, without calling a model.

    `thread` is the key of its row. Raises `InvalidQuestion`, `ThreadBusy` and `ThreadNotFound`.
    """
    _lock(thread)
    _check_idle(thread)
    current = Message.objects.filter(thread=thread, is_current=True).order_by("-sequence_index")
    last = current.first()
    supersede(last)
    if replaces is None:
        index = last.sequence_index + 1 if last else 0
    else:
        last = current.filter(role=Message.Role.USER).first()
        if last is None or last.pk != replaces.pk:
            raise InvalidQuestion("replaces", NOT_THE_LAST)
        index = last.sequence_index
        current.filter(pk=last.pk).update(is_current=False)
    count = F("message_count") + int(replaces is None)  # A new version does not count.
    Thread.objects.filter(pk=thread).update(modified=timezone.now(), message_count=count)
    written = Message.objects.create(
        thread_id=thread, role=Message.Role.USER, text=text, sequence_index=index, replaces=replaces
    )
    return _get(written.pk)


def record_reading(messages: Iterable[Message], reader: Any) -> None:
    """Write audit entries for the conversations of others in these messages, which were listed by this module."""
    read = {(message.thread_uuid, message.owner_id) for message in messages}  # type: ignore[attr-defined]
    Reading.objects.bulk_create(
        Reading(reader_id=reader.pk, owner_id=owner, thread=thread, place="api")
        for thread, owner in read
        if owner != reader.pk
    )


def _annotated() -> QuerySet[Message]:
    """All messages, with the UUIDs that the API shows and the owner's key, annotated instead of joined as rows."""
    messages: QuerySet[Message] = Message.objects.annotate(
        thread_uuid=F("thread__uuid"), replaces_uuid=F("replaces__uuid"), owner_id=F("thread__session__user_id")
    )
    return messages


def _get(pk: int) -> Message:
    """A message as the API shows it. Its thread is locked, so the message exists."""
    return _annotated().get(pk=pk)


def _lock(thread: int) -> None:
    if not locks.lock(Thread.objects.filter(pk=thread)):
        raise ThreadNotFound


def _check_idle(thread: int) -> None:
    running = Turn.objects.filter(thread=thread, status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER).first()
    if running:
        raise ThreadBusy(running.uuid.hex)


def _count_feedback(thread: int) -> None:
    counted = Message.objects.filter(thread=thread).aggregate(
        positive_feedback=Count("pk", filter=Q(feedback_score=True)),
        negative_feedback=Count("pk", filter=Q(feedback_score=False)),
    )
    Thread.objects.filter(pk=thread).update(**counted)
