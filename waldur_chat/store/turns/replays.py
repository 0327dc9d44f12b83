"""Stored turns for readers who resume them: access, progress, and outcome."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from waldur_chat.errors import TurnNotFound, of_code
from waldur_chat.events import (
    Cancelled,
    Event,
    Failed,
    Finished,
    Started,
    StoredMessages,
    Terminal,
    ToolEvent,
    Usage,
    Warned,
    warned_of,
    with_tool_events,
)
from waldur_chat.models import Turn
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.calls import shown_calls


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A stored turn: id, first event; once it has ended, its warning, whole text and terminal event.

    The text begins at the position `text_start`: before it, thoughts were streamed that are not part of the answer.
    `tool_events` are those of its calls of tools, each with its position.
    """

    turn: str
    started: Started
    fingerprint: str = ""
    warned: Warned | None = None
    text: str = ""
    text_start: int = 0
    tool_events: tuple[tuple[int, ToolEvent], ...] = ()
    terminal: Terminal | None = None

    @property
    def answer(self) -> list[Event]:
        """The text, with the events of tools."""
        shown = [(max(position, self.text_start), event) for position, event in self.tool_events]
        return with_tool_events(self.text, self.text_start, shown)


class RunningRow(NamedTuple):
    """The row of a running turn: its primary key, and how many events of tools it has."""

    key: int
    tool_events: int


def find_for_user(user: Any, uuid: UUID) -> Replay:
    """The user's turn with this id, if it is for an answer in one of their threads. Raises `TurnNotFound`."""
    if user.pk is None:  # An anonymous user; turns of deleted users have no user either.
        raise TurnNotFound
    return _get(Turn.objects.filter(uuid=uuid, user=user.pk))


def find_by_key(user: Any, key: str) -> Replay | None:
    """The turn that an earlier request of this user with this Idempotency-Key started."""
    turn = _with_messages(Turn.objects.filter(key=key, user=user.pk)).first()
    return _replays([turn])[0] if turn else None


def find_running(turns: Iterable[str]) -> dict[str, RunningRow]:
    """The rows of those among these turns, by id, that run and have a conversation. One query."""
    running = Turn.objects.filter(uuid__in=map(UUID, turns), status=Turn.Status.RUNNING, thread__isnull=False)
    return {uuid.hex: RunningRow(*row) for uuid, *row in running.values_list("uuid", "pk", "tool_events")}


def find_ended(turns: Iterable[str]) -> dict[str, Replay]:
    """Those among these turns, by id, that have ended and have a conversation. One query, and one for tools."""
    ended = Turn.objects.filter(uuid__in=map(UUID, turns)).exclude(status=Turn.Status.RUNNING)
    return {replay.turn: replay for replay in _replays(list(_with_messages(ended)))}


def find_tool_events(rows: Iterable[RunningRow]) -> dict[int, list[tuple[int, ToolEvent]]]:
    """The events of tools of these turns so far, by primary key."""
    calls = tool_calls.of_turns(row.key for row in rows if row.tool_events)
    return {key: shown_calls.events_of(of_turn, key) for key, of_turn in calls.items()}


def _get(turns: Any) -> Replay:
    turn = _with_messages(turns).first()
    if turn is None:
        raise TurnNotFound
    return _replays([turn])[0]


def _replays(turns: Sequence[Turn]) -> list[Replay]:
    calls = tool_calls.of_turns(turn.pk for turn in turns if turn.tool_events)
    return [_replay(turn, shown_calls.events_of(calls.get(turn.pk, ()), turn.pk)) for turn in turns]


def _with_messages(turns: Any) -> Any:
    answers = turns.filter(purpose=Turn.Purpose.ANSWER, thread__isnull=False)
    return answers.select_related("thread", "answer", "question")


def _replay(turn: Turn, tool_events: Sequence[tuple[int, ToolEvent]]) -> Replay:
    assert turn.thread
    return Replay(
        turn=turn.uuid.hex,
        started=Started(turn=turn.uuid.hex, thread=turn.thread.uuid.hex),
        fingerprint=turn.fingerprint,
        warned=warned_of(turn.answer.warning) if turn.answer and turn.answer.warning else None,
        text=turn.answer.text if turn.answer else "",
        text_start=turn.text_start,
        tool_events=tuple(tool_events),
        terminal=_terminal(turn),
    )


def _terminal(turn: Turn) -> Terminal | None:
    """The terminal event; None while the turn runs."""
    usage = None
    if turn.input_tokens or turn.output_tokens:
        usage = Usage(input_tokens=turn.input_tokens, output_tokens=turn.output_tokens, estimated=turn.is_estimated)
    stored = StoredMessages(
        question=turn.question.uuid.hex if turn.question and turn.is_new_question else "",
        answer=turn.answer.uuid.hex if turn.answer else "",
    )
    match turn.status:
        case Turn.Status.RUNNING:
            return None
        case Turn.Status.FINISHED:
            return Finished(reason=turn.reason or "stop", usage=usage, stored=stored)
        case Turn.Status.CANCELLED:
            return Cancelled(usage=usage, stored=stored)
        case _:
            return Failed(error=of_code(turn.code), usage=usage, stored=stored)
