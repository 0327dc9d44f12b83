"""What a user does next in a conversation takes the place of a decision: the calls that wait are not run any more."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from waldur_chat.models import Message, ToolCall
from waldur_chat.store.turns import tool_calls

Status = ToolCall.Status

SUMMARY = "superseded"
TOLD = "The user has gone on without deciding on this call. It was not run."


def forget_thoughts(newest: Sequence[Message]) -> None:
    """Delete what the model thought before calls: with a new question no answer goes on any more that needs it."""
    if any(message.blocks is not None for message in newest):
        ToolCall.objects.filter(thread=newest[0].thread_id, thoughts__isnull=False).update(thoughts=None)


def supersede(last: Message | None) -> None:
    """Expire the calls for which the last message of a conversation waits, within a transaction that has locked it."""
    if last is None or last.status != Message.Status.WAITING:
        return
    waiting = ToolCall.objects.filter(thread=last.thread_id, status__in=(Status.WAITING, Status.APPROVED))
    turns = set(waiting.values_list("turn", flat=True))
    waiting.update(status=Status.EXPIRED, summary=SUMMARY, result=TOLD, ended=timezone.now())
    Message.objects.filter(pk=last.pk).update(status=Message.Status.COMPLETE)
    for turn in turns:
        tool_calls.refresh_answer(turn)
