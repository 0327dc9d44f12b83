"""Plain SQL, for the few statements that the ORM cannot write, or cannot send together with others.

These are the ends of turns with what they charge, the locks and the partial output of turns, deletions in bulk, and
the query before each turn; everything else is querysets and models. Statements name tables as `table()` gives them,
and hold no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

Act = tuple[str, Sequence[object]]
"""A statement and its values."""

M = TypeVar("M", bound=Model)
Composing = TypeVar("Composing", bound=Callable[..., str])


def database() -> BaseDatabaseWrapper:
    """This thread's connection to the default database: no router of the site may lead to a replica, which lags."""
    return connections[DEFAULT_DB_ALIAS]


def composed(compose: Composing) -> Composing:
    """Let a function that composes a statement of its arguments do so once for each kind of database."""

    @cache
    def for_vendor(_: str, *args: Any, **kwargs: Any) -> str:
        return compose(*args, **kwargs)

    @wraps(compose)
    def statement(*args: Any, **kwargs: Any) -> str:
        return for_vendor(database().vendor, *args, **kwargs)

    return statement  # type: ignore[return-value]


@composed
def table(model: type[Model]) -> str:
    """The name of its table, as it stands in a statement."""
    return str(database().ops.quote_name(model._meta.db_table))


def column(model: type[Model], name: str) -> str:
    """The name of the column of a field, as it stands in a statement."""
    return str(database().ops.quote_name(_field(model, name).column))


def places(count: int) -> str:
    """As many places for values, as they stand in a list."""
    return ", ".join(["%s"] * count)


def prepared(model: type[Model], values: Mapping[str, object]) -> list[Any]:
    """The values of fields, by name, as the database takes them: SQLite has no type for times and UUIDs."""
    using = database()
    return [_field(model, name).get_db_prep_save(value, using) for name, value in values.items()]


def instance(model: type[M], names: Sequence[str], values: Sequence[object]) -> M:
    """The row of which these fields were read, by their attributes and in their order; it reads others when asked."""
    read = [_field(model, name).to_python(value) for name, value in zip(names, values, strict=True)]
    found: M = model.from_db(database().alias, names, read)
    return found


@composed
def columns(model: type[Model], names: Sequence[str]) -> str:
    """The columns of fields with the name of the table before each, as `instance()` wants them."""
    return ", ".join(f"{table(model)}.{column(model, name)}" for name in names)


def updating(model: type[Model], changes: Mapping[str, object], **where: object) -> Act:
    """Change the rows that have these values, by names of fields. Like `QuerySet.update()`, it sends no signals."""
    return _updating(model, tuple(changes), tuple(where)), prepared(model, changes) + prepared(model, where)


@composed
def _updating(model: type[Model], changes: Sequence[str], where: Sequence[str]) -> str:
    assignments = ", ".join(f"{column(model, name)} = %s" for name in changes)
    conditions = " AND ".join(f"{column(model, name)} = %s" for name in where)
    return f"UPDATE {table(model)} SET {assignments} WHERE {conditions}"  # noqa: S608  # No values in it.


def delete(model: type[Model], name: str, values: Sequence[object]) -> int:
    """Delete the rows that have one of these values in a field; gives how many. One statement, without signals.

    `QuerySet.delete()` reads all rows first, and those that point to them: of conversations that may be thousands.
    """
    taken = [prepared(model, {name: value})[0] for value in values]
    if not taken:
        return 0
    return execute(f"DELETE FROM {table(model)} WHERE {column(model, name)} IN ({places(len(taken))})", taken)  # noqa: S608  # See above.


def execute(statement: str, values: Sequence[object]) -> int:
    """Execute it; gives how many rows it has changed."""
    with database().cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def together(acts: Sequence[Act]) -> list[int]:
    """Execute several; gives how many rows each has changed. Where the database takes them so, it is asked once."""
    if len(acts) < 2 or not takes_several(database()):
        return [execute(*act) for act in acts]
    with database().cursor() as cursor:
        _execute_all(cursor, acts)
        changed = [int(cursor.rowcount)]
        while cursor.nextset():
            changed.append(int(cursor.rowcount))
    return changed


def rows(statement: str, values: Sequence[object], *, after: Sequence[Act] = ()) -> list[tuple[Any, ...]]:
    """The rows that it gives once others were executed, see together()."""
    if after and not takes_several(database()):
        together(after)
        after = ()
    with database().cursor() as cursor:
        _execute_all(cursor, [*after, (statement, values)])
        for _ in after:
            cursor.nextset()
        return [tuple(found) for found in cursor.fetchall()]


def takes_several(using: BaseDatabaseWrapper) -> bool:
    """Whether several statements are sent in one: a shortcut, without which each is sent by itself.

    PostgreSQL takes several in one exchange where the values stand in the text, and psycopg 3 then gives the result of
    each: that is its `ClientCursor`, which Django has by default. Off while the host has an `execute_wrapper()`, which
    expects one statement at a time. Only names are looked for: with a driver or backend that lacks one, or has another
    cursor, statements are sent one by one.
    """
    settings = getattr(using, "settings_dict", None)
    if not _allowed["several"] or settings is None or getattr(using, "vendor", "") != "postgresql":
        return False
    options = settings.get("OPTIONS") or {}
    client = getattr(getattr(using, "Database", None), "ClientCursor", None)
    is_client = "cursor_factory" not in options and not options.get("server_side_binding")
    return is_client and hasattr(client, "nextset") and not getattr(using, "execute_wrappers", True)


def allow_several(is_allowed: bool) -> None:
    """Turn this shortcut on or off for the process; it is on."""
    _allowed["several"] = is_allowed


_allowed = {"several": True}


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def _execute_all(cursor: Any, acts: Sequence[Act]) -> None:
    cursor.execute("; ".join(statement for statement, _ in acts), [value for _, values in acts for value in values])
