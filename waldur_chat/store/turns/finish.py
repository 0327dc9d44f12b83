"""Finish stored turns: answer, usage and status are written in one transaction, whatever the outcome.

Any process that finds a turn with an expired lease finishes it as interrupted. If the turn's own process is alive after
all, it still stores the whole answer, and only the difference in usage is charged. A process never interrupts its own
turns: if their leases have expired, it was late to renew them.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db import Error, transaction
from django.db.models import QuerySet
from django.utils import timezone

from waldur_chat.errors import TurnInterrupted
from waldur_chat.events import StoredMessages, Usage
from waldur_chat.messages import estimated_tokens
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.models.conversations import NAME_MAX_LENGTH, NEW_CHAT
from waldur_chat.store import locks, rows, sql
from waldur_chat.store.budgets import accounts
from waldur_chat.store.turns import answers, partials

logger = logging.getLogger(__name__)

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
NO_USAGE = Usage(input_tokens=0, output_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """How a turn ended: status, code of its error, or why the model stopped; its model and usage.

    `text` is the answer so far, or the title.
    """

    status: str
    code: str = ""
    reason: str = ""
    text: str = field(default="", repr=False)
    model: str = ""
    usage: Usage = NO_USAGE


def finish_turn(turn_id: str, outcome: TurnOutcome) -> StoredMessages | None:
    """Finish a turn; return the ids of its messages, or None if its thread was deleted or it had ended before."""
    return finish_turns([(turn_id, outcome)])[0]


def finish_turns(outcomes: Sequence[tuple[str, TurnOutcome]]) -> list[StoredMessages | None]:
    """Finish turns in one transaction, each as by `finish_turn()`.

    Raises `Error` if another process finishes one of several turns at the same time; nothing is written then.
    """
    by_id = {UUID(turn_id): outcome for turn_id, outcome in outcomes}
    with transaction.atomic():
        finished = [
            _finish(turn, by_id[turn.uuid], is_question_current=is_question_current)
            for turn, is_question_current in locks.lock_turns(list(by_id))
            if _may_finish(turn, by_id[turn.uuid])
        ]
        if not _write(finished):
            if len(by_id) > 1:
                raise Error("Another process has finished a turn.")
            transaction.set_rollback(True)
            finished = []
    stored = {one.turn.uuid: StoredMessages(answer=one.answer_id) for one in finished if one.turn.thread}
    return [stored.get(UUID(turn_id)) for turn_id, _ in outcomes]


def finish_expired(runs_here: Callable[[str], object], **where: object) -> int:
    """Finish the turns whose leases have expired, as interrupted; return their number.

    `runs_here` receives the id of each turn. A turn of this process is skipped: its lease was only renewed late.
    """
    turns = list(_expired().filter(**where))
    random.shuffle(turns)  # Other processes have found the same turns, and rarely begin with the same one then.
    return sum(_finish_interrupted(turn, runs_here) for turn in turns)


def has_expired() -> bool:
    """Whether there are turns whose leases have expired."""
    return bool(_expired().exists())


def _expired() -> QuerySet[Turn]:
    turns: QuerySet[Turn] = Turn.objects.filter(status=Turn.Status.RUNNING, expires__lt=timezone.now())
    return turns


def _finish_interrupted(turn: Turn, runs_here: Callable[[str], object]) -> bool:
    """Finish a turn with its last known usage, unless it runs here, or was finished or renewed meanwhile."""
    if runs_here(turn.uuid.hex) or not _expired().filter(pk=turn.pk).exists():
        return False
    text = partials.text_of(turn)
    output = max(turn.output_tokens, estimated_tokens(text))
    usage = Usage(input_tokens=turn.input_tokens, output_tokens=output, estimated=True)
    code = TurnInterrupted.code
    outcome = TurnOutcome(status=Turn.Status.INTERRUPTED, code=code, text=text, usage=usage, model=turn.model)
    finish_turn(turn.uuid.hex, outcome)
    logger.warning("Turn %s was interrupted: its process died.", turn.uuid.hex)
    return True


@dataclass(slots=True, kw_only=True)
class _FinishedTurn:
    """A turn to be finished, the usage to charge, and its answer, which may not be inserted yet."""

    turn: Turn
    outcome: TurnOutcome
    charged: Usage
    answer: Message | None

    @property
    def answer_id(self) -> str:
        return self.answer.uuid.hex if self.answer else ""


def _finish(turn: Turn, outcome: TurnOutcome, *, is_question_current: bool) -> _FinishedTurn:
    outcome = replace(outcome, text=partials.replace_nul(outcome.text), usage=_total_usage(turn, outcome.usage))
    charged = _usage_to_charge(turn, outcome)
    answer = answers.add_answer(
        turn, outcome.text, outcome.model, outcome.usage, is_question_current=is_question_current
    )
    if turn.thread:
        _add_to_thread(turn.thread, turn, outcome, charged)
    return _FinishedTurn(turn=turn, outcome=outcome, charged=charged, answer=answer)


def _write(finished: Sequence[_FinishedTurn]) -> bool:
    """Write all turns, shared threads and accounts once. False if another process has finished one of the turns.

    That can only be a turn without a thread, since threads are locked. The statements are plain SQL so that they are
    sent in one exchange: the accounts are locked only for that, however many turns are finished.
    """
    if not finished:
        return True
    rows.insert_all([one.answer for one in finished if one.answer and one.answer._state.adding])
    threads = {one.turn.thread_id: one.turn.thread for one in finished if one.turn.thread}
    turn_statements = [_turn_statement(one) for one in finished]
    charges = accounts.charge_statements([_charge(one.turn, one.outcome, one.charged) for one in finished])
    partial_output = partials.delete_statement([one.turn.pk for one in finished])
    row_counts = sql.execute_many(
        [*turn_statements, partial_output, *map(_thread_statement, threads.values()), *charges]
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
    """Update the turn only if its status is still the one that was read, so that it is written and charged once."""
    turn, outcome = one.turn, one.outcome
    # Reasons and names of models come from providers, and may be longer than their columns.
    changes = {
        "status": outcome.status,
        "code": outcome.code,
        "reason": outcome.reason[:50],
        "ended": timezone.now(),
        "answer": one.answer.pk if one.answer else turn.answer_id,
        "reserved": 0,
        "model": outcome.model[:200],
        "input_tokens": outcome.usage.input_tokens,
        "output_tokens": outcome.usage.output_tokens,
        "is_estimated": outcome.usage.estimated,
    }
    return sql.update_statement(Turn, changes, id=turn.pk, status=turn.status)


def _total_usage(turn: Turn, usage: Usage) -> Usage:
    """The usage of the turn; after an interruption at least what was charged then, since nothing is refunded."""
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
        thread.title_input_tokens += charged.input_tokens
        thread.title_output_tokens += charged.output_tokens
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
