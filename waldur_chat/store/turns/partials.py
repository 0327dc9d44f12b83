"""Partial output of running turns, for readers in other processes, and for the case that the turn's process dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q

from waldur_chat.models import Piece, Turn
from waldur_chat.store import sql

CHANNEL = "waldur_chat_pieces"
"""The channel of PostgreSQL's LISTEN and NOTIFY."""


ROWS_PER_QUERY = 200
"""SQLite limits the depth of an expression to 1000 (https://www.sqlite.org/limits.html)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialOutput:
    """Text that a turn, by its id, has produced from a position on."""

    turn: str
    position: int
    text: str


def write(outputs: Sequence[PartialOutput]) -> None:
    """Insert the new text of all turns of a process, and notify readers in other processes.

    Plain SQL: on PostgreSQL the insertion and the notification are one statement, so that a process with a thousand
    streams needs one exchange four times a second, and no transaction.
    """
    # SQLite limits the number of parameters; each row has three.
    batch = (sql.database().features.max_query_params or len(outputs) * 3) // 3
    for start in range(0, len(outputs), batch):
        _insert(outputs[start : start + batch])


def _insert(outputs: Sequence[PartialOutput]) -> None:
    values: list[object] = []
    for one in outputs:
        values += [*sql.db_values(Turn, {"uuid": UUID(one.turn)}), one.position, replace_nul(one.text)]
    sql.execute(_with_notification(_insert_sql(len(outputs))), values)


@sql.cached_statement
def _insert_sql(count: int) -> str:
    """Insert the text of so many turns, which are found by UUID.

    A primary key would be that of another turn, if the tables were those of another schema (`runtime.tenants`).
    """
    is_postgresql = sql.database().vendor == "postgresql"
    first = "(CAST(%s AS uuid), CAST(%s AS integer), CAST(%s AS text))" if is_postgresql else "(%s, %s, %s)"
    rows = ", ".join([first, *["(%s, %s, %s)"] * (count - 1)])
    # Both databases name the columns of VALUES so.
    found = f"(VALUES {rows}) AS output JOIN {sql.table(Turn)} turn ON turn.uuid = output.column1"
    columns = "turn.id, output.column2, output.column3"
    return f"INSERT INTO {sql.table(Piece)} (turn_id, position, text) SELECT {columns} FROM {found}"  # noqa: S608  # No values in it.


def delete_statement(turns: Sequence[int]) -> sql.Statement:
    """Delete the partial output of turns, by primary key. Readers are notified when the transaction ends."""
    statement = f"DELETE FROM {sql.table(Piece)} WHERE turn_id IN ({sql.placeholders(len(turns))})"  # noqa: S608  # No values in it.
    return _with_notification(statement), turns


def notify() -> None:
    """Notify readers in other processes when the transaction ends; see `_with_notification()`."""
    if sql.database().vendor == "postgresql":
        sql.fetch("SELECT pg_notify(%s, '')", [CHANNEL])


def _with_notification(statement: str) -> str:
    """Add a notification to the statement, on PostgreSQL; elsewhere the follower polls."""
    if sql.database().vendor != "postgresql":
        return statement
    return f"WITH done AS ({statement}) SELECT pg_notify('{CHANNEL}', '')"  # See above.


def read_after(rows: Mapping[str, int], positions: Mapping[str, int]) -> dict[str, PartialOutput]:
    """The text of turns, by id, after these positions; turns without new text are left out.

    `rows` are their primary keys as this connection sees them.
    """
    turns = {row: turn for turn, row in rows.items()}
    keys = list(turns)
    news: dict[str, PartialOutput] = {}
    for start in range(0, len(keys), ROWS_PER_QUERY):
        wanted = [Q(turn=row, position__gte=positions[turns[row]]) for row in keys[start : start + ROWS_PER_QUERY]]
        found = Piece.objects.filter(reduce(or_, wanted)).order_by("turn", "position")
        for row, position, text in found.values_list("turn", "position", "text"):
            turn = turns[row]
            previous = news.get(turn, PartialOutput(turn=turn, position=positions[turn], text=""))
            news[turn] = replace(previous, text=_append(previous.text, position - previous.position, text))
    return {turn: one for turn, one in news.items() if one.text}


def text_of(turn: Turn) -> str:
    """The whole partial output of a turn that was flushed."""
    text = ""
    for position, addition in turn.pieces.order_by("position").values_list("position", "text"):
        text = _append(text, position, addition)
    return text


def replace_nul(text: str) -> str:
    """Replace NUL, which PostgreSQL cannot store (https://www.postgresql.org/docs/current/datatype-character.html)."""
    return text.replace("\0", "\ufffd")


def _append(text: str, position: int, addition: str) -> str:
    """Append what is new in the addition; nothing if there is a gap before it. Rows overlap if a write was repeated."""
    return text + addition[len(text) - position :] if position <= len(text) else text
