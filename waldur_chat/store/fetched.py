"""Rows that SQL of our own reads, as the ORM would give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

from waldur_chat.store import sql

M = TypeVar("M", bound=Model)


@sql.composed
def columns(model: type[Model]) -> str:
    """All columns of a table, for `instance()`."""
    return ", ".join(f"{sql.table(model)}.{sql.column(model, field.name)}" for field in model._meta.concrete_fields)


def instance(model: type[M], values: Sequence[Any]) -> M:
    """What the columns of a row are, as the ORM would give it."""
    using, read = sql.database(), list(values)
    for place, column in _converted(model, using.vendor):
        for convert in _converters(column, using):
            read[place] = convert(read[place], column, using)
    found: M = model.from_db(using.alias, _names(model), read)
    return found


@cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]


@cache
def _converted(model: type[Model], vendor: str) -> list[tuple[int, Any]]:
    """The columns, and where they stand, whose values this kind of database does not give as they are."""
    del vendor
    read = (field.get_col(model._meta.db_table) for field in model._meta.concrete_fields)
    return [(place, column) for place, column in enumerate(read) if _converters(column, sql.database())]


def _converters(column: Any, using: BaseDatabaseWrapper) -> list[Callable[..., Any]]:
    """Those of a connection, which must not be kept."""
    return [*using.ops.get_db_converters(column), *column.get_db_converters(using)]
