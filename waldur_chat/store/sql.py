"""SQL for what every turn does. Django composes a statement anew each time, which takes longer than to execute it.

Statements name tables as `table()` gives them, and hold no values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.models import Model


def table(model: type[Model]) -> str:
    """The name of its table, as it stands in a statement."""
    return str(connection.ops.quote_name(model._meta.db_table))


def stored(model: type[Model], field: str, value: object) -> Any:
    """The value of a field as the database takes it."""
    found: Any = model._meta.get_field(field)
    return found.get_db_prep_value(value, connection)


def execute(statement: str, values: Sequence[object]) -> int:
    """Execute it; gives how many rows it has changed."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def row(statement: str, values: Sequence[object]) -> tuple[Any, ...]:
    """The one row that it gives."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return tuple(cursor.fetchone())
