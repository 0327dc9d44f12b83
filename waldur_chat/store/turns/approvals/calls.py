"""The calls that a user may see and decide: their own, whoever else may read the conversation."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from waldur_chat.errors import ToolCallNotFound
from waldur_chat.models import ToolCall

Status = ToolCall.Status


def owned_by(user: Any) -> QuerySet[ToolCall]:
    """The calls of the user's own conversations, the newest first, with the ids of thread, turn and answer."""
    own = ToolCall.objects.filter(user=user.pk, thread__isnull=False, turn__isnull=False)
    shown: QuerySet[ToolCall] = own.annotate(
        thread_uuid=F("thread__uuid"), turn_uuid=F("turn__uuid"), message_uuid=F("turn__answer__uuid")
    ).order_by("-id")
    return shown


def with_status(calls: QuerySet[ToolCall], status: str) -> QuerySet[ToolCall]:
    """Those with this status as `status_of()` has it."""
    overdue = Q(status=Status.WAITING, expires__lte=timezone.now())
    conditions = {Status.WAITING: Q(status=status) & ~overdue, Status.EXPIRED: Q(status=status) | overdue}
    matching: QuerySet[ToolCall] = calls.filter(conditions.get(Status(status), Q(status=status)))
    return matching


def status_of(call: ToolCall) -> str:
    """The status now: a call that nobody has decided in time is expired."""
    is_overdue = call.status == Status.WAITING and call.expires is not None and call.expires <= timezone.now()
    return Status.EXPIRED if is_overdue else str(call.status)


def find(user: Any, uuid: UUID | None) -> ToolCall:
    """The user's own call. Raises `ToolCallNotFound`, also for the calls of others."""
    call: ToolCall | None = owned_by(user).filter(uuid=uuid).first() if uuid and user.pk is not None else None
    if call is None:
        raise ToolCallNotFound
    return call
