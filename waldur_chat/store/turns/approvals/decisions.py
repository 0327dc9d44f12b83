"""A user decides on a call that waits. Whatever else happens, of two decisions on one call the first one counts.

The decision on the last waiting call of an answer begins the turn that goes on with it, in the same transaction: if
that turn is refused, the call still waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from waldur_chat.errors import ThreadBusy, ToolCallDecided
from waldur_chat.messages import Decision
from waldur_chat.models import Message, Thread, ToolCall, Turn
from waldur_chat.store import locks
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.approvals import calls as own_calls
from waldur_chat.store.turns.position import MessagePosition, last_answers

Status = ToolCall.Status

DENIED = "The user has denied this call. It was not run."


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Where the answer goes on, the turn that waited, and its calls that were decided, in their order."""

    position: MessagePosition
    waited: Turn
    calls: tuple[ToolCall, ...]


def decide_one_of_several(user: Any, decision: Decision) -> ToolCall | None:
    """Decide on a call if others of the same answer still wait; the answer does not go on yet.

    None, and nothing is written, if no other call waits: the answer goes on then. Raises `ToolCallNotFound`.
    """
    call = own_calls.find(user, decision.call)
    if not _others_waiting(call):
        return None
    with transaction.atomic():
        locks.lock(Thread.objects.filter(pk=call.thread_id))
        if not _others_waiting(call):
            return None
        _write(user, call, decision)
        tool_calls.refresh_answer(call.turn_id)
    return own_calls.find(user, decision.call)


def decide_last(user: Any, thread: Thread, decision: Decision) -> Decided:
    """Decide on a call within the transaction that begins the next turn, and has locked the thread.

    Raises `ToolCallNotFound`, `ToolCallDecided`, and `ThreadBusy` if the answer is still being written.
    """
    call = own_calls.find(user, decision.call)
    waited = Turn.objects.get(pk=call.turn_id)
    if waited.status == Turn.Status.RUNNING and call.status == Status.WAITING:
        raise ThreadBusy(waited.uuid.hex)
    _write(user, call, decision)
    question, answers = last_answers(thread)
    if not answers or answers[-1].pk != waited.answer_id:  # The conversation has gone on without it.
        raise ToolCallDecided(Status.EXPIRED)
    position = MessagePosition(
        question=question, answer_index=answers[-1].sequence_index + 1, goes_on_after=tuple(answers)
    )
    decided = ToolCall.objects.filter(turn=waited.pk, status__in=(Status.APPROVED, Status.DENIED)).order_by("number")
    return Decided(position=position, waited=waited, calls=tuple(decided))


def hand_over(decided: Decided, turn: Turn) -> None:
    """Give the decided calls to the turn that goes on, which was inserted."""
    keys = [call.pk for call in decided.calls]
    ToolCall.objects.filter(pk__in=keys).update(continuation=turn.pk)
    Message.objects.filter(pk=decided.waited.answer_id).update(status=Message.Status.COMPLETE)
    tool_calls.refresh_answer(decided.waited.pk)


def _others_waiting(call: ToolCall) -> bool:
    others = ToolCall.objects.filter(turn=call.turn_id, status=Status.WAITING).exclude(pk=call.pk)
    return bool(others.exists())


def _write(user: Any, call: ToolCall, decision: Decision) -> None:
    """Decide on a call that waits. Raises `ToolCallDecided` if it does not, any more."""
    now = timezone.now()
    changes: dict[str, Any] = {"status": Status.APPROVED}
    if not decision.is_approved:
        changes = {"status": Status.DENIED, "result": DENIED, "ended": now}
    waiting = ToolCall.objects.filter(pk=call.pk, user=user.pk, status=Status.WAITING, expires__gt=now)
    if not waiting.update(decided_by=user.pk, decided_at=now, **changes):
        raise ToolCallDecided(own_calls.status_of(ToolCall.objects.get(pk=call.pk)))
