"""SQL for what every turn does. Django composes a statement anew each time, which takes longer than to execute it.

Statements name tables as `table()` gives them, and hold no values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Model

M = TypeVar("M", bound=Model)


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


def row(statement: str, values: Sequence[object]) -> tuple[Any, ...] | None:
    """The one row that it gives; None where it gives none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        found = cursor.fetchone()
        return None if found is None else tuple(found)


def update(model: type[Model], changes: Mapping[str, object], **where: object) -> int:
    """Change the rows that have these values, by names of fields; gives how many there were."""
    assignments = ", ".join(f"{_column(model, name)} = %s" for name in changes)
    conditions = " AND ".join(f"{_column(model, name)} = %s" for name in where)
    statement = f"UPDATE {table(model)} SET {assignments} WHERE {conditions}"  # noqa: S608  # No values in it.
    return execute(statement, [stored(model, name, value) for name, value in (*changes.items(), *where.items())])


def columns(model: type[Model]) -> str:
    """All columns of a table, for `instance()`."""
    return ", ".join(f"{table(model)}.{_column(model, field.name)}" for field in model._meta.concrete_fields)


def instance(model: type[M], values: Sequence[Any]) -> M:
    """What the columns of a row are, as the ORM would give it."""
    fields = model._meta.concrete_fields
    read = (_read(field, value) for field, value in zip(fields, values, strict=True))
    found: M = model.from_db(connection.alias, [field.attname for field in fields], list(read))
    return found


def _column(model: type[Model], name: str) -> str:
    found: Any = model._meta.get_field(name)
    return str(connection.ops.quote_name(found.column))


def _read(field: Any, value: Any) -> Any:
    column = field.cached_col
    for convert in (*connection.ops.get_db_converters(column), *field.get_db_converters(connection)):
        value = convert(value, column, connection)
    return value
