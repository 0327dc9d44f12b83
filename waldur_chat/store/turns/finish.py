"""Finish stored turns: answer, usage and status are written in one transaction, whatever the outcome.

A turn whose process seems to be dead is finished as interrupted, by any process (`interruption`). If its own process is
alive after all, it still stores the whole answer, and only the difference in usage is charged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db import Error, transaction
from django.utils import timezone

from waldur_chat.events import MOST_TOKENS, AnswerStatus, StoredMessages, Usage, finished_status
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.models.conversations import NAME_MAX_LENGTH, NEW_CHAT
from waldur_chat.store import locks, rows, sql
from waldur_chat.store.budgets import accounts
from waldur_chat.store.locks import LockedTurn
from waldur_chat.store.turns import answers, partials, tool_calls
from waldur_chat.store.turns.answers import EndedAnswer

THREAD_SUMS = (
    "name",
    "message_count",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "title_input_tokens",
    "title_output_tokens",
    "models_used",
    "modified",
)
ANSWER_STATUS: dict[str, AnswerStatus] = {
    Turn.Status.CANCELLED: "stopped",
    Turn.Status.FAILED: "failed",
    Turn.Status.INTERRUPTED: "interrupted",
}
"""How the answer of an ended turn ended; that of a finished one depends on why the model stopped."""
NO_USAGE = Usage(input_tokens=0, output_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """How a turn ended: status, code of its error, or why the model stopped; its model and usage.

    `text` is the answer so far, or the title; `text_start` is the number of characters that were streamed before it.
    `warning` is what its reader should know of it. `lease` is what the turn's lease must still be if another process
    than its own finishes it.
    """

    status: str
    code: str = ""
    reason: str = ""
    text: str = field(default="", repr=False)
    warning: str = ""
    text_start: int = 0
    model: str = ""
    usage: Usage = NO_USAGE
    lease: datetime | None = None

    @property
    def answer_status(self) -> AnswerStatus:
        """How the answer ended."""
        return ANSWER_STATUS.get(self.status) or finished_status(self.reason)


def finish_turn(turn_id: str, outcome: TurnOutcome) -> StoredMessages | None:
    """Finish a turn; return the ids of its messages, or None if its thread was deleted or it had ended before."""
    return finish_turns([(turn_id, outcome)])[0]


def finish_turns(outcomes: Sequence[tuple[str, TurnOutcome]]) -> list[StoredMessages | None]:
    """Finish turns in one transaction, each as by `finish_turn()`.

    Raises `Error` if another process changes one of several turns at the same time; nothing is written then.
    """
    finished = _finish_or_read_again({UUID(turn_id): outcome for turn_id, outcome in outcomes})
    stored = {one.turn.uuid: StoredMessages(answer=one.answer_id) for one in finished if one.turn.thread}
    return [stored.get(UUID(turn_id)) for turn_id, _ in outcomes]


def finish_unrenewed(turn: UUID, outcome: TurnOutcome) -> bool:
    """Finish a turn of another process if its lease is still that of the outcome; return whether that was so."""
    return bool(_finish_or_read_again({turn: outcome}))


def _finish_or_read_again(outcomes: Mapping[UUID, TurnOutcome]) -> list[_FinishedTurn]:
    finished = _finish_together(outcomes)
    if finished is None and len(outcomes) > 1:
        raise Error("Another process has changed a turn.")
    # A single turn is read again: it has been finished, or its reservation or its lease was changed.
    return finished or _finish_together(outcomes) or []


def _finish_together(outcomes: Mapping[UUID, TurnOutcome]) -> list[_FinishedTurn] | None:
    """Finish those turns that can be finished; None if nothing was written since one of them was changed meanwhile."""
    with transaction.atomic():
        finished = [
            _finish(locked, outcomes[locked.turn.uuid])
            for locked in locks.lock_turns(list(outcomes))
            if _may_finish(locked.turn, outcomes[locked.turn.uuid])
        ]
        if _write(finished):
            return finished
        transaction.set_rollback(True)
    return None


@dataclass(slots=True, kw_only=True)
class _FinishedTurn:
    """A turn to be finished, the usage to charge, and its answer, which may not be inserted yet.

    `question` updates the status of its question, if that changes.
    """

    turn: Turn
    outcome: TurnOutcome
    charged: Usage
    answer: Message | None
    question: sql.Statement | None

    @property
    def answer_id(self) -> str:
        return self.answer.uuid.hex if self.answer else ""


def _finish(locked: LockedTurn, outcome: TurnOutcome) -> _FinishedTurn:
    turn = locked.turn
    outcome = replace(outcome, text=partials.replace_nul(outcome.text), usage=_total_usage(turn, outcome.usage))
    charged = _usage_to_charge(turn, outcome)
    ended = EndedAnswer(
        text=outcome.text,
        status=outcome.answer_status,
        code=outcome.code,
        model=outcome.model,
        usage=outcome.usage,
        warning=outcome.warning,
        blocks=tool_calls.end_all(turn, outcome.text, outcome.text_start, outcome.answer_status)
        if turn.tool_events
        else None,
    )
    answer = answers.add_answer(locked, ended)
    question = answers.question_statement(locked, ended, is_answered=bool(answer or turn.answer_id))
    if turn.thread:
        _add_to_thread(turn.thread, turn, outcome, charged)
    return _FinishedTurn(turn=turn, outcome=outcome, charged=charged, answer=answer, question=question)


def _write(finished: Sequence[_FinishedTurn]) -> bool:
    """Write all turns, shared threads and accounts once. False if one of the turns was changed meanwhile.

    Another process can finish only a turn without a thread, since threads are locked. The statements are plain SQL so
    that they are sent in one exchange: the accounts are locked only for that, however many turns are finished.
    """
    if not finished:
        return True
    rows.insert_all([one.answer for one in finished if one.answer and one.answer._state.adding])
    threads = {one.turn.thread_id: one.turn.thread for one in finished if one.turn.thread}
    turn_statements = [_turn_statement(one) for one in finished]
    charges = accounts.charge_statements([_charge(one.turn, one.outcome, one.charged) for one in finished])
    partial_output = partials.delete_statement([one.turn.pk for one in finished])
    questions = [one.question for one in finished if one.question]
    row_counts = sql.execute_many(
        [*turn_statements, partial_output, *questions, *map(_thread_statement, threads.values()), *charges]
    )
    if not all(row_counts[: len(turn_statements)]):
        return False
    # Without a thread nothing refers to the row any more; what it used is in the ledger.
    if without_thread := [one.turn.pk for one in finished if not one.turn.thread]:
        Turn.objects.filter(pk__in=without_thread).delete()
    return True


def _may_finish(turn: Turn, outcome: TurnOutcome) -> bool:
    """Whether the turn runs, or was interrupted and its own process is alive after all."""
    is_late = turn.status == Turn.Status.INTERRUPTED != outcome.status
    return turn.status == Turn.Status.RUNNING or is_late


def _turn_statement(one: _FinishedTurn) -> sql.Statement:
    """Update the turn only if its status and its reservation are those that were read, and a dead turn's lease, too.

    So it is written and charged once, all that was reserved is released, and a turn that is renewed meanwhile runs on.
    """
    turn, outcome = one.turn, one.outcome
    # Reasons and names of models come from providers, and may be longer than their columns.
    changes = {
        "status": outcome.status,
        "code": outcome.code,
        "reason": outcome.reason[:50],
        "text_start": outcome.text_start,
        "ended": timezone.now(),
        "answer": one.answer.pk if one.answer else turn.answer_id,
        "reserved": 0,
        "model": outcome.model[:200],
        "input_tokens": outcome.usage.input_tokens,
        "output_tokens": outcome.usage.output_tokens,
        "is_estimated": outcome.usage.estimated,
    }
    unchanged = {"expires": outcome.lease} if outcome.lease else {}
    return sql.update_statement(Turn, changes, id=turn.pk, status=turn.status, reserved=turn.reserved, **unchanged)


def _total_usage(turn: Turn, usage: Usage) -> Usage:
    """The usage of the turn; after an interruption at least what was charged then, since nothing is refunded."""
    usage = usage.bounded()
    if turn.status == Turn.Status.RUNNING:
        return usage
    return replace(
        usage,
        input_tokens=max(usage.input_tokens, turn.input_tokens),
        output_tokens=max(usage.output_tokens, turn.output_tokens),
    )


def _usage_to_charge(turn: Turn, outcome: TurnOutcome) -> Usage:
    """The usage of the turn, less what was charged when it was interrupted."""
    if turn.status == Turn.Status.RUNNING:
        return outcome.usage
    return Usage(
        input_tokens=outcome.usage.input_tokens - turn.input_tokens,
        output_tokens=outcome.usage.output_tokens - turn.output_tokens,
    )


def _add_to_thread(thread: Thread, turn: Turn, outcome: TurnOutcome, charged: Usage) -> None:
    """Add the turn to the totals of its thread, which is locked."""
    thread.input_tokens += charged.input_tokens
    thread.output_tokens += charged.output_tokens
    thread.total_tokens = thread.input_tokens + thread.output_tokens
    if turn.purpose == Turn.Purpose.TITLE:
        thread.title_input_tokens = min(thread.title_input_tokens + charged.input_tokens, MOST_TOKENS)
        thread.title_output_tokens = min(thread.title_output_tokens + charged.output_tokens, MOST_TOKENS)
        if outcome.text and thread.name == NEW_CHAT and not thread.is_named:
            thread.name = outcome.text[:NAME_MAX_LENGTH]
    elif outcome.model and outcome.model not in thread.models_used.split(", "):
        thread.models_used = ", ".join(filter(None, [thread.models_used, outcome.model]))[:500]
    thread.modified = timezone.now()


def _thread_statement(thread: Thread) -> sql.Statement:
    """Update the totals of a thread."""
    return sql.update_statement(Thread, {name: getattr(thread, name) for name in THREAD_SUMS}, id=thread.pk)


def _charge(turn: Turn, outcome: TurnOutcome, charged: Usage) -> accounts.Charge:
    is_first = turn.status == Turn.Status.RUNNING
    return accounts.Charge(
        user_id=turn.user_id,
        model=outcome.model,
        usage=charged,
        turns=int(is_first and turn.purpose == Turn.Purpose.ANSWER),
        reserved=turn.reserved if is_first else 0,
    )
