"""Turns for those who come back to them: whether one is theirs, how far it is, and how it ended."""

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
    """A stored turn: its id and row, how it began, and once it has ended its whole text and its end."""

    turn: str
    row: int
    started: Started
    fingerprint: str = ""
    text: str = ""
    terminal: Terminal | None = None


def of_user(user: Any, uuid: UUID) -> Replay:
    """A turn of this user that answers in one of their threads. Raises `TurnNotFound`."""
    return _one(Turn.objects.filter(uuid=uuid, user=user.pk))


def of_key(user: Any, key: str) -> Replay | None:
    """The turn that this user's request with this Idempotency-Key has begun."""
    found = _answers(Turn.objects.filter(key=key, user=user.pk)).first()
    return _replay(found) if found else None


def of_rows(rows: Iterable[int]) -> list[Replay]:
    """Of these turns, those that have ended. One query."""
    return [_replay(turn) for turn in _answers(Turn.objects.filter(pk__in=rows).exclude(status=Turn.Status.RUNNING))]


def gone(rows: Iterable[int]) -> set[int]:
    """Of these turns, those whose conversation was deleted."""
    left = Turn.objects.filter(pk__in=rows, thread__isnull=False).values_list("pk", flat=True)
    return set(rows) - set(left)


def _one(found: Any) -> Replay:
    turn = _answers(found).first()
    if turn is None:
        raise TurnNotFound
    return _replay(turn)


def _answers(found: Any) -> Any:
    own = found.filter(purpose=Turn.Purpose.ANSWER, thread__isnull=False)
    return own.select_related("thread", "answer", "question")


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
    """How it ended; None while it runs."""
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
