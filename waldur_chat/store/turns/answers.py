"""Where the answer of a turn goes in its conversation when the turn ends, and which message it replaces.

All of it happens in the transaction that ends the turn, which has locked the thread.
"""

from __future__ import annotations

from django.db.models import QuerySet

from waldur_chat.events import Usage
from waldur_chat.models import Message, Turn
from waldur_chat.store import rows


def of(turn: Turn, text: str, model: str, usage: Usage, *, is_asked: bool) -> Message | None:
    """The answer, in the place of an earlier version; one without any text leaves that standing.

    `is_asked` says that the question is current. A turn for a title has no answer. The usual one, to a new question, is
    not written yet: the answers of turns that end together go in one statement.
    """
    if not turn.thread or turn.purpose != Turn.Purpose.ANSWER or not text:
        return None
    if turn.answer:  # What was known of it when it was taken for dead.
        return _complete(turn.answer, text, usage)
    is_first = is_asked and _is_first(turn)
    is_current, earlier = (True, None) if is_first else _take_place(turn)
    answer = Message(
        thread=turn.thread,
        role=Message.Role.ASSISTANT,
        text=text,
        sequence_index=turn.answer_index,
        replaces=earlier if is_current else None,
        is_current=is_current,
        model=model[:200],
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
    )
    turn.thread.message_count += is_current and not earlier
    return answer if is_first else rows.insert(answer)


def _take_place(turn: Turn) -> tuple[bool, Message | None]:
    """Make the answer's place free. Gives whether the answer is current from now on, and which version it replaces."""
    current = Message.objects.filter(thread=turn.thread, is_current=True)
    is_current = turn.status == Turn.Status.RUNNING or not _is_superseded(turn, current)
    if is_current and turn.question and not turn.question.is_current:  # It was edited, and is in force from now on.
        current.filter(sequence_index=turn.question.sequence_index).update(is_current=False)
        Message.objects.filter(pk=turn.question.pk).update(is_current=True)
    earlier = current.filter(sequence_index=turn.answer_index).first()
    if is_current and earlier:
        current.filter(pk=earlier.pk).update(is_current=False)
    return is_current, earlier


def _is_first(turn: Turn) -> bool:
    """Whether there can be no earlier answer: a question that was new and is in force is followed by nothing."""
    return turn.status == Turn.Status.RUNNING and turn.is_new_question


def _complete(answer: Message, text: str, usage: Usage) -> Message:
    answer.text = text
    answer.input_tokens, answer.output_tokens = usage.input_tokens, usage.output_tokens
    answer.save(update_fields=("text", "input_tokens", "output_tokens"))
    return answer


def _is_superseded(turn: Turn, current: QuerySet[Message]) -> bool:
    """Whether the conversation went on without the answer, while its turn was taken for dead."""
    first = turn.question.sequence_index if turn.question else turn.answer_index
    newer = current.filter(sequence_index__gte=first, created__gt=turn.started)
    return bool(newer.exclude(pk=turn.question.pk if turn.question else None).exists())
