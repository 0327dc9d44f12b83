"""What a model may have arguments of calls from: the user's own messages, and earlier results."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q

from waldur_chat.models import Message, ToolCall, Turn

Status = ToolCall.Status

MOST_MESSAGES, MOST_RESULTS = 50, 50
"""How many of each are looked at, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierResult:
    """What a model was told of a call, and the arguments of the call, as JSON."""

    tool: str
    arguments: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The user's own words, and results; the newest first."""

    own: tuple[str, ...] = field(default=(), repr=False)
    results: tuple[EarlierResult, ...] = ()


def sources_of(turn_id: str) -> Sources:
    """The words that a turn answers, and what was said and found in its conversation before.

    Versions that were replaced do not count, nor what was written after the question.
    """
    turn = Turn.objects.filter(uuid=UUID(turn_id), thread__isnull=False).select_related("question").first()
    if turn is None:
        return Sources()
    first = turn.question.sequence_index if turn.question else turn.answer_index
    earlier = Q(thread=turn.thread_id, is_current=True, sequence_index__lt=first)
    own = Message.objects.filter(Q(pk=turn.question_id) | earlier, role=Message.Role.USER)
    before = Q(turn__answer__is_current=True, turn__answer_index__lt=turn.answer_index)
    calls = ToolCall.objects.filter(Q(turn=turn.pk) | before, thread=turn.thread_id)
    # What is told of other calls are our own words.
    found = calls.filter(status__in=(Status.DONE, Status.FAILED)).order_by("-id")
    rows = found.values_list("tool", "arguments", "result")[:MOST_RESULTS]
    return Sources(
        own=tuple(own.order_by("-sequence_index").values_list("text", flat=True)[:MOST_MESSAGES]),
        results=tuple(EarlierResult(tool=tool, arguments=arguments, text=text) for tool, arguments, text in rows),
    )
