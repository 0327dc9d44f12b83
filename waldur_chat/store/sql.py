"""SQL for what every turn does. Django composes a statement anew each time, which takes longer than to execute it.

Here each is composed once for each kind of database. Statements name tables as `table()` gives them, and hold no
values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

Act = tuple[str, Sequence[object]]
"""A statement and its values."""

M = TypeVar("M", bound=Model)
Composing = TypeVar("Composing", bound=Callable[..., str])


def database() -> BaseDatabaseWrapper:
    """This thread's connection; Django's own `connection` looks for it at each access to one of its attributes."""
    return connections[DEFAULT_DB_ALIAS]


def composed(compose: Composing) -> Composing:
    """Let a function that composes a statement of its arguments do so once for each kind of database."""

    @cache
    def for_vendor(_: str, *args: Any) -> str:
        return compose(*args)

    @wraps(compose)
    def statement(*args: Any) -> str:
        return for_vendor(database().vendor, *args)

    return statement  # type: ignore[return-value]


@composed
def table(model: type[Model]) -> str:
    """The name of its table, as it stands in a statement."""
    return str(database().ops.quote_name(model._meta.db_table))


@composed
def columns(model: type[Model]) -> str:
    """All columns of a table, for `instance()`."""
    return ", ".join(f"{table(model)}.{_column(model, field.name)}" for field in model._meta.concrete_fields)


def stored(model: type[Model], field: str, value: object) -> Any:
    """The value of a field as the database takes it."""
    found: Any = model._meta.get_field(field)
    return found.get_db_prep_value(value, database())


def execute(statement: str, values: Sequence[object]) -> int:
    """Execute it; gives how many rows it has changed."""
    with database().cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def together(acts: Sequence[Act]) -> list[int]:
    """Execute several; gives how many rows each has changed. Where the database takes them so, it is asked once."""
    if not acts:
        return []
    using = database()
    if not _takes_several(using):
        return [execute(*act) for act in acts]
    with using.cursor() as cursor:
        cursor.execute(*_joined(acts))
        changed = [int(cursor.rowcount)]
        while cursor.nextset():
            changed.append(int(cursor.rowcount))
    return changed


def row(statement: str, values: Sequence[object], *, after: Sequence[Act] = ()) -> tuple[Any, ...] | None:
    """The one row that it gives once others were executed, see together(); None where it gives none."""
    using = database()
    if after and not _takes_several(using):
        together(after)
        after = ()
    with using.cursor() as cursor:
        cursor.execute(*_joined([*after, (statement, values)]))
        for _ in after:
            cursor.nextset()
        found = cursor.fetchone()
        return None if found is None else tuple(found)


def updating(model: type[Model], changes: Mapping[str, object], **where: object) -> Act:
    """Change the rows that have these values, by names of fields."""
    values = [stored(model, name, value) for name, value in (*changes.items(), *where.items())]
    return _updating(model, tuple(changes), tuple(where)), values


def insert(instance: M) -> M:
    """Write a new row, and set its primary key; with the signals of a model that is saved."""
    model, using = type(instance), database()
    told = {"sender": model, "instance": instance, "raw": False, "using": using.alias, "update_fields": None}
    pre_save.send(**told)
    gives_key = using.features.can_return_columns_from_insert
    values = [field.get_db_prep_save(field.pre_save(instance, True), using) for field in _written(model)]
    with using.cursor() as cursor:
        cursor.execute(_inserting(model, gives_key), values)
        found = cursor.fetchone()[0] if gives_key else _last_key(using, cursor, model)
    instance.pk, instance._state.adding, instance._state.db = found, False, using.alias
    post_save.send(created=True, **told)
    return instance


def instance(model: type[M], values: Sequence[Any]) -> M:
    """What the columns of a row are, as the ORM would give it."""
    using, read = database(), list(values)
    for place, field in _converted(model, using.vendor):
        for convert in _converters(field, using):
            read[place] = convert(read[place], field.cached_col, using)
    found: M = model.from_db(using.alias, _names(model), read)
    return found


@composed
def _updating(model: type[Model], changed: Sequence[str], where: Sequence[str]) -> str:
    assignments = ", ".join(f"{_column(model, name)} = %s" for name in changed)
    conditions = " AND ".join(f"{_column(model, name)} = %s" for name in where)
    return f"UPDATE {table(model)} SET {assignments} WHERE {conditions}"  # noqa: S608  # No values in it.


@composed
def _inserting(model: type[Model], gives_key: bool) -> str:
    names = [_column(model, field.name) for field in _written(model)]
    places = ", ".join(["%s"] * len(names))
    statement = f"INSERT INTO {table(model)} ({', '.join(names)}) VALUES ({places})"  # noqa: S608  # See above.
    return f"{statement} RETURNING {_column(model, model._meta.pk.name)}" if gives_key else statement


def _joined(acts: Sequence[Act]) -> Act:
    return "; ".join(statement for statement, _ in acts), [value for _, values in acts for value in values]


def _takes_several(using: BaseDatabaseWrapper) -> bool:
    """PostgreSQL does, where psycopg 3 puts the values into the statement, as Django has it by default."""
    if using.vendor != "postgresql" or using.settings_dict.get("OPTIONS", {}).get("server_side_binding"):
        return False
    from django.db.backends.postgresql import psycopg_any

    return bool(psycopg_any.is_psycopg3)


def _last_key(using: BaseDatabaseWrapper, cursor: Any, model: type[Model]) -> Any:
    return using.ops.last_insert_id(cursor, model._meta.db_table, model._meta.pk.column)


@cache
def _written(model: type[Model]) -> list[Any]:
    """The fields of a new row; the database gives it its key."""
    return [field for field in model._meta.concrete_fields if not field.primary_key]


@cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@cache
def _converted(model: type[Model], vendor: str) -> list[tuple[int, Any]]:
    """The fields, and where they stand, whose values this kind of database does not give as they are."""
    del vendor
    fields = enumerate(model._meta.concrete_fields)
    return [(place, field) for place, field in fields if _converters(field, database())]


def _converters(field: Any, using: BaseDatabaseWrapper) -> list[Callable[..., Any]]:
    """Those of a connection, which must not be kept."""
    return [*using.ops.get_db_converters(field.cached_col), *field.get_db_converters(using)]


def _column(model: type[Model], name: str) -> str:
    found: Any = model._meta.get_field(name)
    return str(database().ops.quote_name(found.column))
