"""Stored turns for readers who resume them: access, progress, and outcome."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from waldur_chat.errors import TurnNotFound, of_code
from waldur_chat.events import Cancelled, Failed, Finished, Started, StoredMessages, Terminal, Usage
from waldur_chat.models import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A stored turn: id, primary key, first event; and once it has ended, its whole text and terminal event."""

    turn: str
    row: int
    started: Started
    fingerprint: str = ""
    text: str = ""
    terminal: Terminal | None = None


def find_for_user(user: Any, uuid: UUID) -> Replay:
    """The user's turn with this id, if it is for an answer in one of their threads. Raises `TurnNotFound`."""
    if user.pk is None:  # An anonymous user; turns of deleted users have no user either.
        raise TurnNotFound
    return _get(Turn.objects.filter(uuid=uuid, user=user.pk))


def find_by_key(user: Any, key: str) -> Replay | None:
    """The turn that an earlier request of this user with this Idempotency-Key started."""
    turn = _with_messages(Turn.objects.filter(key=key, user=user.pk)).first()
    return _replay(turn) if turn else None


def find_ended(rows: Iterable[int]) -> list[Replay]:
    """The turns among these primary keys that have ended. One query."""
    return [
        _replay(turn) for turn in _with_messages(Turn.objects.filter(pk__in=rows).exclude(status=Turn.Status.RUNNING))
    ]


def without_thread(rows: Iterable[int]) -> set[int]:
    """The primary keys among these whose turn lost its thread, because the conversation was deleted."""
    with_thread = Turn.objects.filter(pk__in=rows, thread__isnull=False).values_list("pk", flat=True)
    return set(rows) - set(with_thread)


def _get(turns: Any) -> Replay:
    turn = _with_messages(turns).first()
    if turn is None:
        raise TurnNotFound
    return _replay(turn)


def _with_messages(turns: Any) -> Any:
    answers = turns.filter(purpose=Turn.Purpose.ANSWER, thread__isnull=False)
    return answers.select_related("thread", "answer", "question")


def _replay(turn: Turn) -> Replay:
    assert turn.thread
    return Replay(
        turn=turn.uuid.hex,
        row=turn.pk,
        started=Started(turn=turn.uuid.hex, thread=turn.thread.uuid.hex),
        fingerprint=turn.fingerprint,
        text=turn.answer.text if turn.answer else "",
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
