"""Plain SQL, for the few statements that the ORM cannot express, or cannot send in one exchange with others.

It is used for finishing turns and charging them, row locks, partial output, bulk deletion, and the preflight query;
everything else uses querysets. Statements contain quoted names from `table()` and `column()`, and no values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from waldur_chat.runtime import shortcuts

Statement = tuple[str, Sequence[object]]
"""An SQL text and its parameters."""

M = TypeVar("M", bound=Model)
Builder = TypeVar("Builder", bound=Callable[..., str])


def database() -> BaseDatabaseWrapper:
    """This thread's connection to the default database. Routers are bypassed: they may choose a replica, which lags."""
    return connections[DEFAULT_DB_ALIAS]


def cached_statement(build: Builder) -> Builder:
    """Cache the SQL that a function builds, by its arguments and the vendor: quoting and syntax differ between them."""

    @cache
    def for_vendor(_: str, *args: Any, **kwargs: Any) -> str:
        return build(*args, **kwargs)

    @wraps(build)
    def statement(*args: Any, **kwargs: Any) -> str:
        return for_vendor(database().vendor, *args, **kwargs)

    return statement  # type: ignore[return-value]


@cached_statement
def table(model: type[Model]) -> str:
    """The quoted name of the model's table."""
    return str(database().ops.quote_name(model._meta.db_table))


def column(model: type[Model], name: str) -> str:
    """The quoted name of a field's column."""
    return str(database().ops.quote_name(_field(model, name).column))


def placeholders(count: int) -> str:
    """This many parameter markers, separated by commas."""
    return ", ".join(["%s"] * count)


def db_values(model: type[Model], values: Mapping[str, object]) -> list[Any]:
    """Convert field values, by field name, to parameters: SQLite, for example, has no types for times and UUIDs."""
    using = database()
    return [_field(model, name).get_db_prep_save(value, using) for name, value in values.items()]


def build_instance(model: type[M], names: Sequence[str], values: Sequence[object]) -> M:
    """A model instance from a fetched row. `names` are attribute names in the order in which the model defines them.

    Fields that are not among them are deferred: the instance queries them at their first use.
    """
    converted = [_field(model, name).to_python(value) for name, value in zip(names, values, strict=True)]
    built: M = model.from_db(database().alias, names, converted)
    return built


@cached_statement
def columns(model: type[Model], names: Sequence[str]) -> str:
    """The columns of fields, qualified with their table, in the order that `build_instance()` expects."""
    return ", ".join(f"{table(model)}.{column(model, name)}" for name in names)


def update_statement(model: type[Model], changes: Mapping[str, object], **where: object) -> Statement:
    """An UPDATE of the rows that match `where`, by field names. Like `QuerySet.update()`, it sends no signals."""
    return _update_sql(model, tuple(changes), tuple(where)), db_values(model, changes) + db_values(model, where)


@cached_statement
def _update_sql(model: type[Model], changes: Sequence[str], where: Sequence[str]) -> str:
    assignments = ", ".join(f"{column(model, name)} = %s" for name in changes)
    conditions = " AND ".join(f"{column(model, name)} = %s" for name in where)
    return f"UPDATE {table(model)} SET {assignments} WHERE {conditions}"  # noqa: S608  # No values in it.


def delete(model: type[Model], name: str, values: Sequence[object]) -> int:
    """Delete the rows whose field has one of these values, in one statement without signals; return their number.

    `QuerySet.delete()` would first fetch the rows and everything that refers to them: thousands, for conversations.
    """
    keys = [db_values(model, {name: value})[0] for value in values]
    if not keys:
        return 0
    return execute(f"DELETE FROM {table(model)} WHERE {column(model, name)} IN ({placeholders(len(keys))})", keys)  # noqa: S608  # See above.


def execute(statement: str, values: Sequence[object]) -> int:
    """Execute a statement; return the number of rows it changed."""
    with database().cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def execute_many(statements: Sequence[Statement]) -> list[int]:
    """Execute statements, in one exchange if `can_batch()`; return the number of rows that each changed."""
    if len(statements) < 2 or not can_batch(database()):
        return [execute(*statement) for statement in statements]
    with database().cursor() as cursor:
        _execute_batch(cursor, statements)
        row_counts = [int(cursor.rowcount)]
        while cursor.nextset():
            row_counts.append(int(cursor.rowcount))
    return row_counts


def fetch(statement: str, values: Sequence[object], *, after: Sequence[Statement] = ()) -> list[tuple[Any, ...]]:
    """Execute the statements of `after`, then fetch the rows of this one; in one exchange if `can_batch()`."""
    if after and not can_batch(database()):
        execute_many(after)
        after = ()
    with database().cursor() as cursor:
        _execute_batch(cursor, [*after, (statement, values)])
        for _ in after:
            cursor.nextset()
        return [tuple(row) for row in cursor.fetchall()]


def can_batch(using: BaseDatabaseWrapper) -> bool:
    """Whether several statements can be sent in one exchange. This is a shortcut; without it each is sent separately.

    PostgreSQL accepts several statements at once only if their values are merged on the client, and psycopg 3 then
    returns one result set per statement: its `ClientCursor`, which is Django's default. psycopg 2 returns only the last
    result (https://www.psycopg.org/psycopg3/docs/basic/from_pg2.html). Off while the host has an `execute_wrapper()`,
    which expects one statement per call.
    """
    if using.vendor != "postgresql" or using.execute_wrappers or not shortcuts.is_on("statement_batches"):
        return False
    options = using.settings_dict.get("OPTIONS") or {}
    is_client = "cursor_factory" not in options and not options.get("server_side_binding")
    return is_client and hasattr(getattr(using, "Database", None), "ClientCursor")


def _field(model: type[Model], name: str) -> Any:
    return model._meta.get_field(name)


def _execute_batch(cursor: Any, statements: Sequence[Statement]) -> None:
    text = "; ".join(statement for statement, _ in statements)
    cursor.execute(text, [value for _, values in statements for value in values])
