"""Add the answer of an ended turn to its conversation, and replace the version that it supersedes.

An answer says how it ended. Where a turn leaves none, its question says it, until a later turn answers that question.

Everything here runs in the transaction that finishes the turn, which has locked the thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet

from waldur_chat.events import AnswerStatus, Usage
from waldur_chat.models import Message, Turn
from waldur_chat.store import rows, sql
from waldur_chat.store.locks import LockedTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAnswer:
    """What a turn has written, and how that ended: status, the code of an error, and a warning.

    `blocks` are those of an answer with calls of tools; without any they are None, and follow from the text.
    """

    text: str = field(repr=False)
    status: AnswerStatus
    code: str
    model: str
    usage: Usage
    warning: str = ""
    blocks: list[dict[str, Any]] | None = field(default=None, repr=False)


def add_answer(locked: LockedTurn, ended: EndedAnswer) -> Message | None:
    """Add the answer to the turn's thread, in place of an earlier version. Without text and calls it replaces nothing.

    Turns for titles have no answer. The first answer to a new question is returned without being inserted, so that the
    caller inserts the answers of several turns in one statement.
    """
    turn = locked.turn
    if not turn.thread or turn.purpose != Turn.Purpose.ANSWER or not (ended.text or ended.blocks):
        return None
    if turn.answer:  # Partial output that was stored when the lease had expired, though the process was alive.
        return _complete(turn.answer, ended)
    is_first = locked.is_question_current and _is_first_answer(turn)
    is_current, earlier = (True, None) if is_first else _replace_current(turn)
    answer = Message(
        thread=turn.thread,
        role=Message.Role.ASSISTANT,
        text=ended.text,
        blocks=ended.blocks,
        status=ended.status,
        code=ended.code,
        sequence_index=turn.answer_index,
        replaces=earlier if is_current else None,
        is_current=is_current,
        model=ended.model[:200],
        warning=ended.warning,
        input_tokens=ended.usage.input_tokens,
        output_tokens=ended.usage.output_tokens,
    )
    turn.thread.message_count += is_current and not earlier
    turn.thread.message_count -= _drop_later(turn) if is_current and not is_first else 0
    return answer if is_first else rows.insert(answer)


def question_statement(locked: LockedTurn, ended: EndedAnswer, *, is_answered: bool) -> sql.Statement | None:
    """Set the status of the turn's question: that of the turn if it left no answer, and complete if it did.

    None where nothing changes, as after most turns.
    """
    turn = locked.turn
    if turn.question_id is None:
        return None
    status, code = (Message.Status.COMPLETE, "") if is_answered else (ended.status, ended.code)
    if status == locked.question_status == Message.Status.COMPLETE:
        return None
    is_late = turn.status != Turn.Status.RUNNING
    if not is_answered and is_late and locked.question_status != Message.Status.INTERRUPTED:
        return None  # A later turn has answered the question, or failed at it.
    return sql.update_statement(Message, {"status": status, "code": code}, id=turn.question_id)


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


def _drop_later(turn: Turn) -> int:
    """Mark the answers as replaced that have gone on after the one that is replaced now; return their number."""
    later = Message.objects.filter(
        thread=turn.thread, is_current=True, role=Message.Role.ASSISTANT, sequence_index__gt=turn.answer_index
    )
    dropped: int = later.filter(created__lt=turn.started).update(is_current=False)
    return dropped


def _is_first_answer(turn: Turn) -> bool:
    """Whether no earlier answer can exist: a new question that is current is the last message of its thread."""
    return turn.status == Turn.Status.RUNNING and turn.is_new_question


def _complete(answer: Message, ended: EndedAnswer) -> Message:
    answer.text, answer.status, answer.code = ended.text, ended.status, ended.code
    answer.warning, answer.blocks = ended.warning, ended.blocks
    answer.input_tokens, answer.output_tokens = ended.usage.input_tokens, ended.usage.output_tokens
    answer.save(update_fields=("text", "blocks", "status", "code", "warning", "input_tokens", "output_tokens"))
    return answer


def _is_superseded(turn: Turn, current: QuerySet[Message]) -> bool:
    """Whether the conversation continued without the answer after its turn was marked as interrupted."""
    first = turn.question.sequence_index if turn.question else turn.answer_index
    newer = current.filter(sequence_index__gte=first, created__gt=turn.started)
    return bool(newer.exclude(pk=turn.question.pk if turn.question else None).exists())
