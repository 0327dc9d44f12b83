"""Rows that SQL of our own reads, as the ORM would give them.

`has_times` says whether their points in time are read too, which take the driver longer than all else of a row. Like
every field that was not read, the ORM reads them when they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DEFERRED, DateTimeField, Model

from waldur_chat.store import sql

M = TypeVar("M", bound=Model)


@sql.composed
def columns(model: type[Model], *, has_times: bool = True) -> str:
    """The columns of a table, for `instance()`."""
    return ", ".join(f"{sql.table(model)}.{sql.column(model, field.name)}" for field in _fields(model, has_times))


def size(model: type[Model], *, has_times: bool = True) -> int:
    """How many there are."""
    return len(_fields(model, has_times))


def instance(model: type[M], values: Sequence[Any], *, has_times: bool = True) -> M:
    """What the columns of a row are, as the ORM would give it."""
    using = sql.database()
    read: list[Any] = [DEFERRED] * len(model._meta.concrete_fields)
    for place, value in zip(_places(model, has_times), values, strict=True):
        read[place] = value
    for place, column, convert in _conversions(model, using.vendor, has_times):
        read[place] = convert(using.ops, read[place], column, using)
    found: M = model.from_db(using.alias, _names(model, has_times), read)
    return found


@cache
def _fields(model: type[Model], has_times: bool) -> list[Any]:
    return [field for field in model._meta.concrete_fields if has_times or not isinstance(field, DateTimeField)]


@cache
def _places(model: type[Model], has_times: bool) -> list[int]:
    """Where they stand among all."""
    read = _fields(model, has_times)
    return [place for place, field in enumerate(model._meta.concrete_fields) if field in read]


@cache
def _names(model: type[Model], has_times: bool) -> list[str]:
    return [field.attname for field in _fields(model, has_times)]


@cache
def _conversions(model: type[Model], vendor: str, has_times: bool) -> list[tuple[int, Any, Callable[..., Any]]]:
    """What makes of values what they mean, where this kind of database does not give them so, and where they stand."""
    del vendor
    using = sql.database()
    found: list[tuple[int, Any, Callable[..., Any]]] = []
    for place, field in zip(_places(model, has_times), _fields(model, has_times), strict=True):
        column = field.get_col(model._meta.db_table)
        converters = (*using.ops.get_db_converters(column), *column.get_db_converters(using))
        found += [(place, column, _of_any_connection(one, using)) for one in converters]
    return found


def _of_any_connection(convert: Callable[..., Any], using: BaseDatabaseWrapper) -> Callable[..., Any]:
    """The same, with the operations of a connection as its first argument: a method of those must not keep them."""
    if getattr(convert, "__self__", None) is using.ops:
        return getattr(type(using.ops), convert.__name__)  # type: ignore[no-any-return]
    return lambda _, *args: convert(*args)
