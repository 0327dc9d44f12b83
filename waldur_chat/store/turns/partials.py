"""Partial output of running turns: for readers in other processes, and should the turn's own process die."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_

from django.db.models import Q

from waldur_chat.models import Piece, Turn
from waldur_chat.store import sql

CHANNEL = "waldur_chat_pieces"
"""Of PostgreSQL's LISTEN and NOTIFY."""


ROWS_PER_QUERY = 200
"""SQLite has a limit to how deep a condition may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialOutput:
    """What a turn, known by its row, has written from a position on."""

    row: int
    position: int
    text: str


def write(written: Sequence[PartialOutput]) -> None:
    """Write what all turns of a process have said since, and wake the readers in other processes.

    Plain SQL: on PostgreSQL the insertion and the notification are one statement, so that a process with a thousand
    streams needs one exchange four times a second, and no transaction.
    """
    most = (sql.database().features.max_query_params or len(written) * 3) // 3
    for start in range(0, len(written), most):
        _insert(written[start : start + most])


def _insert(written: Sequence[PartialOutput]) -> None:
    places = ", ".join(["(%s, %s, %s)"] * len(written))
    values = [value for one in written for value in (one.row, one.position, storable(one.text))]
    statement = f"INSERT INTO {sql.table(Piece)} (turn_id, position, text) VALUES {places}"  # noqa: S608  # No values in it.
    sql.execute(_waking(statement), values)


def removing(turns: Sequence[int]) -> sql.Act:
    """Remove what turns, by row, have written; the readers in other processes are woken when the transaction ends."""
    statement = f"DELETE FROM {sql.table(Piece)} WHERE turn_id IN ({sql.places(len(turns))})"  # noqa: S608  # No values in it.
    return _waking(statement), turns


def _waking(statement: str) -> str:
    """The same and a notification, on PostgreSQL."""
    if sql.database().vendor != "postgresql":
        return statement
    return f"WITH done AS ({statement}) SELECT pg_notify('{CHANNEL}', '')"  # See above.


def after(positions: Mapping[int, int]) -> dict[int, PartialOutput]:
    """What turns, by row, have written after these positions; those without news are left out."""
    rows = list(positions)
    news: dict[int, PartialOutput] = {}
    for start in range(0, len(rows), ROWS_PER_QUERY):
        wanted = [Q(turn=row, position__gte=positions[row]) for row in rows[start : start + ROWS_PER_QUERY]]
        found = Piece.objects.filter(reduce(or_, wanted)).order_by("turn", "position")
        for row, position, text in found.values_list("turn", "position", "text"):
            before = news.get(row, PartialOutput(row=row, position=positions[row], text=""))
            news[row] = replace(before, text=_joined(before.text, position - before.position, text))
    return {row: one for row, one in news.items() if one.text}


def text_of(turn: Turn) -> str:
    """All that a turn has written, as far as it is known here."""
    text = ""
    for position, piece in turn.pieces.order_by("position").values_list("position", "text"):
        text = _joined(text, position, piece)
    return text


def storable(text: str) -> str:
    """The text as every database takes it: PostgreSQL holds no NUL."""
    return text.replace("\0", "\ufffd")


def _joined(text: str, position: int, piece: str) -> str:
    """A piece is left out where one before it is missing, or has it already."""
    return text + piece[len(text) - position :] if position <= len(text) else text
