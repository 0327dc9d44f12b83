"""Add the answer of an ended turn to its conversation, and replace the version that it supersedes.

Everything here runs in the transaction that finishes the turn, which has locked the thread.
"""

from __future__ import annotations

from django.db.models import QuerySet

from waldur_chat.events import Usage
from waldur_chat.models import Message, Turn
from waldur_chat.store import rows


def add_answer(turn: Turn, text: str, model: str, usage: Usage, *, is_question_current: bool) -> Message | None:
    """Add the answer to the turn's thread, in place of an earlier version; an empty text replaces nothing.

    Turns for titles have no answer. The first answer to a new question is returned without being inserted, so that the
    caller inserts the answers of several turns in one statement.
    """
    if not turn.thread or turn.purpose != Turn.Purpose.ANSWER or not text:
        return None
    if turn.answer:  # Partial output that was stored when the lease had expired, though the process was alive.
        return _complete(turn.answer, text, usage)
    is_first = is_question_current and _is_first_answer(turn)
    is_current, earlier = (True, None) if is_first else _replace_current(turn)
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


def _replace_current(turn: Turn) -> tuple[bool, Message | None]:
    """Mark the version at the answer's position as replaced. Returns whether the answer is current, and the version."""
    current = Message.objects.filter(thread=turn.thread, is_current=True)
    is_current = turn.status == Turn.Status.RUNNING or not _is_superseded(turn, current)
    if is_current and turn.question and not turn.question.is_current:
        # An edited question becomes current together with its answer.
        current.filter(sequence_index=turn.question.sequence_index).update(is_current=False)
        Message.objects.filter(pk=turn.question.pk).update(is_current=True)
    earlier = current.filter(sequence_index=turn.answer_index).first()
    if is_current and earlier:
        current.filter(pk=earlier.pk).update(is_current=False)
    return is_current, earlier


def _is_first_answer(turn: Turn) -> bool:
    """Whether no earlier answer can exist: a new question that is current is the last message of its thread."""
    return turn.status == Turn.Status.RUNNING and turn.is_new_question


def _complete(answer: Message, text: str, usage: Usage) -> Message:
    answer.text = text
    answer.input_tokens, answer.output_tokens = usage.input_tokens, usage.output_tokens
    answer.save(update_fields=("text", "input_tokens", "output_tokens"))
    return answer


def _is_superseded(turn: Turn, current: QuerySet[Message]) -> bool:
    """Whether the conversation continued without the answer after its turn was marked as interrupted."""
    first = turn.question.sequence_index if turn.question else turn.answer_index
    newer = current.filter(sequence_index__gte=first, created__gt=turn.started)
    return bool(newer.exclude(pk=turn.question.pk if turn.question else None).exists())
