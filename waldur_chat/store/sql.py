"""SQL for what every turn does. Django composes a statement anew each time, which takes longer than to execute it.

Here each is composed once for each kind of database. Statements name tables as `table()` gives them, and hold no
values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from waldur_chat.runtime import shortcuts
from waldur_chat.store import fields

Act = tuple[str, Sequence[object]]
"""A statement and its values."""

MOST_VALUES = 50
"""Of a statement that psycopg keeps (its `MAX_CACHED_STATEMENT_PARAMS`)."""

M = TypeVar("M", bound=Model)
Composing = TypeVar("Composing", bound=Callable[..., str])


def database() -> BaseDatabaseWrapper:
    """This thread's connection; Django's own `connection` looks for it at each access to one of its attributes."""
    return connections[DEFAULT_DB_ALIAS]


def composed(compose: Composing) -> Composing:
    """Let a function that composes a statement of its arguments do so once for each kind of database."""
    for_vendor = _for_vendor(compose)

    @wraps(compose)
    def statement(*args: Any, **kwargs: Any) -> str:
        return for_vendor(database().vendor, *args, **kwargs)

    return statement  # type: ignore[return-value]


def _for_vendor(compose: Callable[..., str]) -> Callable[..., str]:
    """The same with the kind of database before its arguments, for who knows it: to ask for it takes longer."""

    @cache
    def for_vendor(_: str, *args: Any, **kwargs: Any) -> str:
        return compose(*args, **kwargs)

    return for_vendor


@composed
def table(model: type[Model]) -> str:
    """The name of its table, as it stands in a statement."""
    return str(database().ops.quote_name(model._meta.db_table))


def column(model: type[Model], name: str) -> str:
    """The name of the column of a field, as it stands in a statement."""
    found: Any = model._meta.get_field(name)
    return str(database().ops.quote_name(found.column))


def stored(model: type[Model], field: str, value: object) -> Any:
    """The value of a field as the database takes it."""
    return all_stored(model, {field: value})[0]


def all_stored(model: type[Model], values: Mapping[str, object]) -> list[Any]:
    """The values of fields as the database takes them."""
    using = database()
    known = fields.by_name(model, _takes_several(using))
    return [known[name].stored(value, using) for name, value in values.items()]


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
        _execute_all(cursor, acts)
        results = cursor.cursor  # The driver's own: Django looks for errors at each access.
        changed = [int(results.rowcount)]
        while results.nextset():
            changed.append(int(results.rowcount))
    return changed


def rows(statement: str, values: Sequence[object], *, after: Sequence[Act] = ()) -> list[tuple[Any, ...]]:
    """The rows that it gives once others were executed, see together()."""
    using = database()
    if after and not _takes_several(using):
        together(after)
        after = ()
    with using.cursor() as cursor:
        _execute_all(cursor, [*after, (statement, values)])
        for _ in after:
            cursor.cursor.nextset()
        return [tuple(found) for found in cursor.fetchall()]


def places(count: int) -> str:
    """As many places for values, as they stand in a list."""
    return ", ".join(["%s"] * count)


def updating(model: type[Model], changes: Mapping[str, object], **where: object) -> Act:
    """Change the rows that have these values, by names of fields."""
    using = database()
    known = fields.by_name(model, _takes_several(using))
    places, values = [], []
    for name, value in changes.items():
        place = "%s" if known[name].is_json else _LITERALS.get((type(value), value), "%s")
        places.append((name, place))
        if place == "%s":
            values.append(known[name].stored(value, using))
    values += [known[name].stored(value, using) for name, value in where.items()]
    return _updating(using.vendor, model, tuple(places), tuple(where)), values


def new(kind: type[M], /, **values: object) -> M:
    """A row that is not written; rows that it points to by the name of the field, all else by the attribute's.

    Django looks for the default of each field anew, which takes longer than the rest.
    """
    given = [
        values.pop(attname) if attname in values else make() if make else default
        for attname, default, make in fields.defaults(kind)
    ]
    row = kind(*given)
    for name, other in values.items():
        setattr(row, name, other)
    return row


def insert(instance: M) -> M:
    """Write a new row, and set its primary key; with the signals of a model that is saved."""
    model, using = type(instance), database()
    told = {"sender": model, "instance": instance, "raw": False, "using": using.alias, "update_fields": None}
    _point(instance)  # For who hears of it, too.
    pre_save.send(**told)
    gives_key = using.features.can_return_columns_from_insert
    with using.cursor() as cursor:
        cursor.execute(*_inserting(instance, using, gives_key=gives_key))
        _become_stored(instance, cursor.fetchone()[0] if gives_key else _last_key(using, cursor, model), using)
    post_save.send(created=True, **told)
    return instance


def insert_all(*rows: Model) -> None:
    """Write new rows, all or none, as insert() does. One may point to the newest of another kind before it.

    Where the database takes them so, and nobody hears of it, it is asked once.
    """
    using = database()
    takes_several = len(rows) > 1 and _takes_several(using)
    if not takes_several or any(signal.has_listeners(type(row)) for signal in (pre_save, post_save) for row in rows):
        with transaction.atomic(using.alias, savepoint=False):
            for row in rows:
                insert(row)
        return
    acts = [_inserting(row, using, rows[:number]) for number, row in enumerate(rows)]
    with using.cursor() as cursor:
        _execute_all(cursor, acts)
        results = cursor.cursor  # See together().
        for row in rows:
            _point(row)
            _become_stored(row, results.fetchone()[0], using)
            results.nextset()


@_for_vendor
def _updating(model: type[Model], changed: Sequence[tuple[str, str]], where: Sequence[str]) -> str:
    assignments = ", ".join(f"{column(model, name)} = {place}" for name, place in changed)
    conditions = " AND ".join(f"{column(model, name)} = %s" for name in where)
    return f"UPDATE {table(model)} SET {assignments} WHERE {conditions}"  # noqa: S608  # No values in it.


def _inserting(row: Model, using: BaseDatabaseWrapper, before: Sequence[Model] = (), *, gives_key: bool = True) -> Act:
    """What is the same in most rows stands in the statement: a value takes the driver longer than the database.

    It may point to the newest of a kind that is written right `before` it. Raises `ValueError` where it points to
    another that is not written.
    """
    model, unset = type(row), _point(row)
    if unset:
        newest = {type(one): one for one in before}
        if any(newest.get(type(other)) is not other for other in unset.values()):
            raise ValueError(f"A {model.__name__} points to a row that is not written.")
    places, values, state = [], [], vars(row)
    for field in fields.of_new_row(model, _takes_several(using)):
        value = field.new(row, True) if field.new else state[field.attname]
        place = ("'{}'" if value == {} else "%s") if field.is_json else _LITERALS.get((type(value), value), "%s")
        if place == "%s":
            values.append(field.stored(value, using))
        elif unset and field.attname in unset:
            place = _last_key_of(using.vendor, type(unset[field.attname]))
        places.append(place)
    return _insertion(using.vendor, model, tuple(places), gives_key), values


_LITERALS: Mapping[tuple[type, object], str] = {
    (type(None), None): "NULL",
    (bool, False): "FALSE",
    (bool, True): "TRUE",
    (int, 0): "0",
    (str, ""): "''",
}
"""By type and value: to a dictionary, 0 and False are the same."""


@_for_vendor
def _insertion(model: type[Model], places: Sequence[str], gives_key: bool) -> str:
    written = (field for field in model._meta.concrete_fields if not field.primary_key)
    names = ", ".join(column(model, field.name) for field in written)
    statement = f"INSERT INTO {table(model)} ({names}) VALUES ({', '.join(places)})"  # noqa: S608  # See above.
    return f"{statement} RETURNING {column(model, model._meta.pk.name)}" if gives_key else statement


@_for_vendor
def _last_key_of(model: type[Model]) -> str:
    """The last that PostgreSQL has given to a row of this table here."""
    return f"currval(pg_get_serial_sequence('{table(model)}', '{model._meta.pk.column}'))"


def _execute_all(cursor: Any, acts: Sequence[Act]) -> None:
    """Execute several at once. Of few values psycopg takes apart once what it has seen before, of more never."""
    values = [value for _, values in acts for value in values]
    if len(acts) == 1 or len(values) <= MOST_VALUES:
        cursor.execute("; ".join(statement for statement, _ in acts), values)
    else:
        cursor.execute("; ".join(cursor.mogrify(*act) for act in acts))


def _takes_several(using: BaseDatabaseWrapper) -> bool:
    """PostgreSQL does, where psycopg 3 puts the values into the statement, as Django has it by default."""
    if using.vendor != "postgresql" or using.settings_dict.get("OPTIONS", {}).get("server_side_binding"):
        return False
    return shortcuts.is_on("statement_batches") and _has_psycopg3()


@cache
def _has_psycopg3() -> bool:
    from django.db.backends.postgresql import psycopg_any  # Not without PostgreSQL.

    return bool(psycopg_any.is_psycopg3)


def _become_stored(row: Model, key: Any, using: BaseDatabaseWrapper) -> None:
    row.pk, row._state.adding, row._state.db = key, False, using.alias


def _point(row: Model) -> dict[str, Model]:
    """Let it point to rows that have their keys by now. Gives the other ones, by the attribute of the key."""
    unset, state = {}, vars(row)
    for attname, name in fields.links(type(row)):
        if state[attname] is None and (other := row._state.fields_cache.get(name)):
            if other.pk is None:
                unset[attname] = other
            else:
                state[attname] = other.pk
    return unset


def _last_key(using: BaseDatabaseWrapper, cursor: Any, model: type[Model]) -> Any:
    return using.ops.last_insert_id(cursor, model._meta.db_table, model._meta.pk.column)
