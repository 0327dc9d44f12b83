"""Calls of tools in the database. Each change names the status that it expects: of two that compete, one happens.

A call of a turn is also an event for its readers. `Turn.tool_events` counts them, so that readers in other processes
look for calls only where there are any.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from waldur_chat.errors import TurnNotFound
from waldur_chat.events import AnswerStatus, CallRequested
from waldur_chat.models import Message, Thread, ToolCall, ToolTrace, Turn
from waldur_chat.store import locks, rows
from waldur_chat.store.turns import partials
from waldur_chat.store.turns.calls import shown_calls

Status = ToolCall.Status
SUMMARY_LENGTH = 1000

WRITTEN = "Nobody knows how this call ended. Something was written."
NOT_WRITTEN = "Nobody knows how this call ended. Nothing was written."
STILL_RUNNING = "The answer ended while this call was running. It may have had its effect."


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A call that begins: its id, the request of the model, arguments as they were understood, a hash of the schema.

    One that waits for its user has the origins of its arguments, and perhaps thoughts that the model gets back.
    """

    uuid: UUID
    request: CallRequested
    arguments: Mapping[str, Any] = field(repr=False)
    schema_hash: str = ""
    status: str = Status.RUNNING
    expires: datetime | None = None
    origins: Mapping[str, Any] | None = None
    thoughts: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedCall:
    """What came of a call: words for people, what the model is told, and the block that a page shows, if any."""

    status: str
    summary: str = field(default="", repr=False)
    result: str = field(default="", repr=False)
    ui_component: str = ""
    ui_data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    is_traced: bool = False
    """Whether it may have left traces, which go now."""


@transaction.atomic
def add(turn_id: str, round_number: int, position: int, calls: Sequence[NewCall]) -> None:
    """Insert the calls of one round. Raises `TurnNotFound` if the turn does not run any more, or has no thread."""
    _lock_thread_of(turn_id)
    turn = Turn.objects.filter(uuid=UUID(turn_id), status=Turn.Status.RUNNING, thread__isnull=False).first()
    if turn is None or not _note_events(turn_id, len(calls)):
        raise TurnNotFound
    first = ToolCall.objects.filter(turn=turn.pk).count() if round_number else 0
    rows.insert_all(
        [_row(turn, round_number, position, number, call) for number, call in enumerate(calls, start=first)]
    )


def _row(turn: Turn, round_number: int, position: int, number: int, call: NewCall) -> ToolCall:
    arguments = canonical(call.arguments)
    return ToolCall(
        uuid=call.uuid,
        user_id=turn.user_id,
        thread_id=turn.thread_id,
        turn=turn,
        round_number=round_number,
        number=number,
        position=position,
        call_id=call.request.id,
        extra=storable(call.request.extra),
        tool=call.request.name[:100],
        schema_hash=call.schema_hash,
        arguments=arguments,
        arguments_hash=sha256(arguments.encode()).hexdigest(),
        status=call.status,
        expires=call.expires,
        origins=call.origins,
        thoughts=storable(call.thoughts),
    )


@transaction.atomic
def end(turn_id: str, uuid: UUID, ended: EndedCall, expected: str = Status.RUNNING) -> bool:
    """End a call that has this status. False if it has another one: then its end was decided elsewhere."""
    changes = {
        "status": ended.status,
        "summary": storable(ended.summary)[:SUMMARY_LENGTH],
        "result": storable(ended.result),
        "ui_component": ended.ui_component[:50],
        "ui_data": storable(ended.ui_data),
        "ended": timezone.now(),
    }
    _lock_thread_of(turn_id)
    has_ended = change(uuid, expected, **changes) or _complete(uuid, changes)
    if has_ended:
        _note_events(turn_id, 1)
        if ended.is_traced and ToolTrace.objects.filter(call=uuid).delete()[0]:
            change(uuid, Status.FAILED, is_touched=True)
        _refresh_waited(turn_id, uuid)
    return has_ended


def _complete(uuid: UUID, changes: Mapping[str, Any]) -> bool:
    """Add the result to a call that is done already, in the transaction of what it did."""
    done = ToolCall.objects.filter(uuid=uuid, status=Status.DONE, summary="", result="")
    return bool(done.update(**{**changes, "status": Status.DONE}))


def _refresh_waited(turn_id: str, uuid: UUID) -> None:
    """Write the answer again that has waited for this call, if another turn has run it."""
    waited = ToolCall.objects.filter(uuid=uuid, continuation__uuid=UUID(turn_id)).values_list("turn", flat=True)
    refresh_answer(waited.first())


def change(uuid: UUID, expected: str, **changes: object) -> bool:
    """Change a call if it has this status. Returns whether it had."""
    changed: int = ToolCall.objects.filter(uuid=uuid, status=expected).update(**changes)
    return changed == 1


def end_all(turn: Turn, text: str, start: int, status: AnswerStatus) -> list[dict[str, Any]] | None:
    """End the calls that a turn leaves behind which ends now, except those for which its answer is `waiting`.

    Returns the blocks of its answer, see `shown_calls.blocks_of()`; None without calls of its own.
    """
    calls = _of_turns([turn.pk])
    not_run = [Status.PROPOSED] if status == "waiting" else [Status.PROPOSED, Status.WAITING, Status.APPROVED]
    _end_running(calls, is_dead=status == "interrupted")
    calls.filter(status__in=not_run).update(status=Status.EXPIRED, ended=timezone.now())
    # What the turn was to run for an earlier one, whose answer has waited for it.
    calls.filter(continuation=turn.pk, status=Status.APPROVED).update(status=Status.EXPIRED, ended=timezone.now())
    own = [call for call in calls.order_by("number") if call.turn_id == turn.pk]
    for waited in {call.turn_id for call in calls if call.turn_id != turn.pk}:
        refresh_answer(waited)
    return shown_calls.blocks_of(text, start, own) if own else None


def _end_running(calls: QuerySet[ToolCall], *, is_dead: bool) -> None:
    """Nobody will know how these calls end; but what the dead have written is known."""
    left = list(calls.filter(status=Status.RUNNING).values_list("uuid", flat=True))
    traces = ToolTrace.objects.filter(call__in=left)
    touched = set(traces.values_list("call", flat=True)) if left else set()
    for uuid in left:
        words = WRITTEN if uuid in touched else NOT_WRITTEN if is_dead else STILL_RUNNING
        told = {"summary": words, "result": words, "is_touched": uuid in touched}
        change(uuid, Status.RUNNING, status=Status.UNKNOWN, ended=timezone.now(), **told)
    if touched:
        traces.delete()


def refresh_answer(turn: int | None) -> None:
    """Write the blocks of the answer of this turn again, of whose calls one has changed since."""
    ended = Turn.objects.filter(pk=turn, answer__isnull=False).select_related("answer").first()
    if ended and ended.answer:
        calls = list(ToolCall.objects.filter(turn=ended.pk).order_by("number"))
        blocks = shown_calls.blocks_of(ended.answer.text, ended.text_start, calls)
        Message.objects.filter(pk=ended.answer_id).update(blocks=blocks)


def of_turns(turns: Iterable[int]) -> dict[int, list[ToolCall]]:
    """The calls of these turns, and those that they run for an earlier one, by the primary key of the turn.

    They are in their order. One query, and none without turns.
    """
    keys = set(turns)
    found: dict[int, list[ToolCall]] = defaultdict(list)
    for call in _of_turns(keys).order_by("turn", "number") if keys else ():
        for key in keys & {call.turn_id, call.continuation_id}:
            found[key].append(call)
    return found


def _of_turns(keys: Collection[int]) -> QuerySet[ToolCall]:
    calls: QuerySet[ToolCall] = ToolCall.objects.filter(Q(turn__in=keys) | Q(continuation__in=keys))
    return calls


def canonical(arguments: Mapping[str, Any]) -> str:
    """The arguments as one JSON text, equal for equal arguments. In ASCII, which every database stores."""
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"))


def storable(value: Any) -> Any:
    """The value without characters that PostgreSQL's jsonb refuses: NUL, and halves of UTF-16 pairs."""
    match value:
        case str():
            return partials.replace_nul(value).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        case Mapping():
            return {storable(str(name)): storable(one) for name, one in value.items()}
        case list() | tuple():
            return [storable(one) for one in value]
        case _:
            return value


def _lock_thread_of(turn_id: str) -> None:
    """Lock the thread before its rows, as whoever finishes turns or deletes conversations does."""
    locks.lock(Thread.objects.filter(pk__in=Turn.objects.filter(uuid=UUID(turn_id)).values("thread")))


def _note_events(turn_id: str, count: int) -> int:
    """Count events of a running turn, and wake its readers in other processes."""
    running = Turn.objects.filter(uuid=UUID(turn_id), status=Turn.Status.RUNNING)
    noted: int = running.update(tool_events=F("tool_events") + count)
    partials.notify()
    return noted
