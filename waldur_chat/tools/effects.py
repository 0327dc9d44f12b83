"""What a call has done, as far as the database of the chat knows it, in the same transaction.

With a transaction around the tool, the row is `done` if and only if its writes are committed with success. Each write
leaves a trace, in the transaction of the write, so that a death leaves an unknown end, but not an unknown trace.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from waldur_chat.store import sql
from waldur_chat.store.turns.approvals import traces

WRITES = re.compile(
    r"(?:\s|\(|--[^\n]*\n|/\*(?:[^*]|\*(?!/))*\*/)*"  # Comments and brackets before it.
    r"(?:INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE|COPY|CALL|WITH\b.*\b(?:INSERT|UPDATE|DELETE)\b)",
    re.IGNORECASE | re.DOTALL,
)
"""Statements of SQL that may change something."""


class NoLongerRunning(Exception):
    """The call was ended meanwhile, as after its time limit. What it has done in a transaction is rolled back."""


@dataclass(frozen=True, slots=True)
class Effects:
    """The traces of one stored call that may change something."""

    call: UUID

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Each write in this thread leaves a mark. An end that comes after the time limit is unknown."""
        with ExitStack() as stack:
            for alias in connections:
                stack.enter_context(connections[alias].execute_wrapper(self._trace))
            yield
        database = sql.database()
        if not (database.in_atomic_block and database.needs_rollback):
            traces.ended_late(self.call)

    def may_write(self) -> None:
        """Mark the call before it begins, since its writes cannot be seen."""
        traces.mark(self.call)

    def done(self) -> None:
        """The call has succeeded, in the transaction that is open. Raises `NoLongerRunning`."""
        if not traces.done(self.call):
            raise NoLongerRunning

    def _trace(self, execute: Any, statement: str, params: Any, many: bool, context: Any) -> Any:
        """Mark the call in the transaction of the write; a write without one gets one for itself."""
        connection = context["connection"]
        text = _text(statement, connection)
        if not WRITES.match(text) or traces.is_mark(text):
            return execute(statement, params, many, context)
        if connection.in_atomic_block or not connection.get_autocommit() or not _can_share(connection, text):
            traces.mark(self.call)
            return execute(statement, params, many, context)
        with transaction.atomic(using=connection.alias):
            traces.mark(self.call)
            return execute(statement, params, many, context)


def _text(statement: Any, connection: Any) -> str:
    """The statement as text. The host may also give its driver bytes, or an object of psycopg's `sql`."""
    if hasattr(statement, "as_string"):
        return str(statement.as_string(connection.connection))
    return statement.decode(errors="replace") if isinstance(statement, bytes) else str(statement)


def _can_share(connection: Any, statement: str) -> bool:
    """Whether a trace and a write that commits by itself can commit together; if not, the trace comes just before it.

    Two databases cannot. SQLite commits nothing as long as the rows of RETURNING are not read.
    """
    is_read_later = connection.vendor == "sqlite" and "RETURNING" in statement
    return bool(connection.alias == sql.database().alias) and not is_read_later
