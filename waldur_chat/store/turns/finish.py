"""How stored turns end: answer, usage and status are written in one transaction, whatever the end was.

A turn whose lease has expired is ended by any process that finds it. Should its own process be alive after all, the
answer is stored still, and only what is missing is charged. A process that could not renew its leases never ends its
own turns so.
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

SUMS = (
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
NOTHING = Usage(input_tokens=0, output_tokens=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """How a turn ended: its status and the code of its error, or why the model stopped; with which model, at what cost.

    The text is the answer so far, or the title.
    """

    status: str
    code: str = ""
    reason: str = ""
    text: str = field(default="", repr=False)
    model: str = ""
    usage: Usage = NOTHING


def end(turn_id: str, ending: TurnOutcome) -> StoredMessages | None:
    """End a turn. Gives where its answer is stored; None where its conversation is gone, or it has ended before."""
    return end_all([(turn_id, ending)])[0]


def end_all(endings: Sequence[tuple[str, TurnOutcome]]) -> list[StoredMessages | None]:
    """End turns in one transaction, as end() does with each.

    Raises `Error` where another process ends one of several at the same moment; then nothing was written.
    """
    wanted = {UUID(turn_id): ending for turn_id, ending in endings}
    with transaction.atomic():
        found = locks.turns(list(wanted))
        ended = [
            _ended(turn, wanted[turn.uuid], is_asked=is_asked)
            for turn, is_asked in found
            if _may_end(turn, wanted[turn.uuid])
        ]
        if not _write(ended):
            if len(wanted) > 1:
                raise Error("Somebody else has ended a turn.")
            transaction.set_rollback(True)
            ended = []
    stored = {one.turn.uuid: StoredMessages(answer=one.answer_id) for one in ended if one.turn.thread}
    return [stored.get(UUID(turn_id)) for turn_id, _ in endings]


def end_abandoned(runs_here: Callable[[str], object], **where: object) -> int:
    """End the turns whose leases have expired; gives how many.

    `runs_here` is given the id of each: a turn that runs in this process is left, since it is this one that is late.
    """
    found = list(_abandoned().filter(**where))
    random.shuffle(found)  # Other processes have found them too, and had better begin with others.
    return sum(_end_interrupted(turn, runs_here) for turn in found)


def are_abandoned() -> bool:
    """Whether there are such turns."""
    return bool(_abandoned().exists())


def _abandoned() -> QuerySet[Turn]:
    found: QuerySet[Turn] = Turn.objects.filter(status=Turn.Status.RUNNING, expires__lt=timezone.now())
    return found


def _end_interrupted(turn: Turn, runs_here: Callable[[str], object]) -> bool:
    """End it with what it was last known to have used, unless it runs here, or was ended or renewed meanwhile."""
    if runs_here(turn.uuid.hex) or not _abandoned().filter(pk=turn.pk).exists():
        return False
    text = partials.text_of(turn)
    output = max(turn.output_tokens, estimated_tokens(text))
    usage = Usage(input_tokens=turn.input_tokens, output_tokens=output, estimated=True)
    code = TurnInterrupted.code
    end(turn.uuid.hex, TurnOutcome(status=Turn.Status.INTERRUPTED, code=code, text=text, usage=usage, model=turn.model))
    logger.warning("Turn %s was interrupted: its process died.", turn.uuid.hex)
    return True


@dataclass(slots=True, kw_only=True)
class _Ended:
    """A turn that ends, what is to be charged for it, and its answer, which may not be written yet."""

    turn: Turn
    ending: TurnOutcome
    used: Usage
    answer: Message | None

    @property
    def answer_id(self) -> str:
        return self.answer.uuid.hex if self.answer else ""


def _ended(turn: Turn, ending: TurnOutcome, *, is_asked: bool) -> _Ended:
    ending = replace(ending, text=partials.storable(ending.text), usage=_at_least(turn, ending.usage))
    used = _used(turn, ending)
    answer = answers.of(turn, ending.text, ending.model, ending.usage, is_asked=is_asked)
    if turn.thread:
        _sum_up(turn.thread, turn, ending, used)
    return _Ended(turn=turn, ending=ending, used=used, answer=answer)


def _write(ended: Sequence[_Ended]) -> bool:
    """Write all of it, shared threads and accounts once; False where another process has ended one of the turns.

    That can only be a turn without a thread, since the others are locked. The statements are plain SQL so that they are
    sent together: the accounts are locked for one exchange with the database, however many turns end.
    """
    if not ended:
        return True
    rows.insert_all([one.answer for one in ended if one.answer and one.answer._state.adding])
    threads = {one.turn.thread_id: one.turn.thread for one in ended if one.turn.thread}
    ends = [_end(one) for one in ended]
    charges = accounts.entering([_charge(one.turn, one.ending, one.used) for one in ended])
    parts = partials.removing([one.turn.pk for one in ended])
    changed = sql.together([*ends, parts, *map(_show, threads.values()), *charges])
    if not all(changed[: len(ends)]):
        return False
    if alone := [one.turn.pk for one in ended if not one.turn.thread]:
        Turn.objects.filter(pk__in=alone).delete()
    return True


def _may_end(turn: Turn, ending: TurnOutcome) -> bool:
    """Whether it runs; an interrupted one that lives after all may end once more."""
    is_late = turn.status == Turn.Status.INTERRUPTED != ending.status
    return turn.status == Turn.Status.RUNNING or is_late


def _end(one: _Ended) -> sql.Act:
    """Write the end only where the status is still the one that was read, so that it is written and charged once."""
    turn, ending = one.turn, one.ending
    changes = {
        "status": ending.status,
        "code": ending.code,
        "reason": ending.reason[:50],
        "ended": timezone.now(),
        "answer": one.answer.pk if one.answer else turn.answer_id,
        "reserved": 0,
        "model": ending.model[:200],
        "input_tokens": ending.usage.input_tokens,
        "output_tokens": ending.usage.output_tokens,
        "is_estimated": ending.usage.estimated,
    }
    return sql.updating(Turn, changes, id=turn.pk, status=turn.status)


def _at_least(turn: Turn, usage: Usage) -> Usage:
    """What it used; after an interrupted end at least what was charged for that, since nothing is given back."""
    if turn.status == Turn.Status.RUNNING:
        return usage
    return replace(
        usage,
        input_tokens=max(usage.input_tokens, turn.input_tokens),
        output_tokens=max(usage.output_tokens, turn.output_tokens),
    )


def _used(turn: Turn, ending: TurnOutcome) -> Usage:
    """What is to be charged: all it used, less what was charged when it was taken for dead."""
    if turn.status == Turn.Status.RUNNING:
        return ending.usage
    return Usage(
        input_tokens=ending.usage.input_tokens - turn.input_tokens,
        output_tokens=ending.usage.output_tokens - turn.output_tokens,
    )


def _sum_up(thread: Thread, turn: Turn, ending: TurnOutcome, used: Usage) -> None:
    """Let the thread, which is locked, show what its turns and messages add up to."""
    thread.input_tokens += used.input_tokens
    thread.output_tokens += used.output_tokens
    thread.total_tokens = thread.input_tokens + thread.output_tokens
    if turn.purpose == Turn.Purpose.TITLE:
        thread.title_input_tokens += used.input_tokens
        thread.title_output_tokens += used.output_tokens
        if ending.text and thread.name == NEW_CHAT and not thread.is_named:
            thread.name = ending.text[:NAME_MAX_LENGTH]
    elif ending.model and ending.model not in thread.models_used.split(", "):
        thread.models_used = ", ".join(filter(None, [thread.models_used, ending.model]))[:500]
    thread.modified = timezone.now()


def _show(thread: Thread) -> sql.Act:
    """Write what was summed up."""
    return sql.updating(Thread, {name: getattr(thread, name) for name in SUMS}, id=thread.pk)


def _charge(turn: Turn, ending: TurnOutcome, used: Usage) -> accounts.Charge:
    is_first = turn.status == Turn.Status.RUNNING
    return accounts.Charge(
        user_id=turn.user_id,
        model=ending.model,
        usage=used,
        turns=int(is_first and turn.purpose == Turn.Purpose.ANSWER),
        reserved=turn.reserved if is_first else 0,
    )
