"""What is known of the fields of a row. Django finds it anew for each value, which takes longer than to write that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model


@dataclass(frozen=True, slots=True)
class StoredField:
    """A column. `new` gives the value of a new row, where that is not the attribute's.

    `kind` is the type of values that the driver is given as they are, which is what Django comes to in the end.
    """

    field: Any
    attname: str
    new: Callable[[Model, bool], object] | None
    kind: type | None
    is_json: bool
    """It has literals of its own, and values that are no keys of a dictionary."""

    def stored(self, value: Any, using: BaseDatabaseWrapper) -> Any:
        """A value as the database takes it."""
        kind = str if isinstance(value, str) else type(value)
        if kind is self.kind and not (kind is datetime and value.tzinfo is None):
            return value
        return self.field.get_db_prep_save(value, using)


@cache
def by_name(model: type[Model], is_lenient: bool) -> dict[str, StoredField]:
    """Those of a row, by name and by attribute. A lenient database takes more than text as it is."""
    found = {}
    for field in model._meta.concrete_fields:
        is_plain = type(field).pre_save is models.Field.pre_save
        kind = _kind(field)
        found[field.name] = found[field.attname] = StoredField(
            field=field,
            attname=field.attname,
            new=None if is_plain else field.pre_save,
            kind=kind if is_lenient or kind is str else None,
            is_json=isinstance(field, models.JSONField),
        )
    return found


@cache
def of_new_row(model: type[Model], is_lenient: bool) -> list[StoredField]:
    """Those of a new row; the database gives it its key."""
    known = by_name(model, is_lenient)
    return [known[field.name] for field in model._meta.concrete_fields if not field.primary_key]


@cache
def defaults(model: type[Model]) -> list[tuple[str, object, Callable[[], object] | None]]:
    """The attributes of a new row in their order, each with its default, or with what makes one for each row."""
    return [
        (field.attname, None, field.get_default)
        if field.has_default() and callable(field.default)
        else (field.attname, field.get_default(), None)
        for field in model._meta.concrete_fields
    ]


@cache
def links(model: type[Model]) -> list[tuple[str, str]]:
    """Its fields that point to other rows: the attributes of the key and of the row."""
    return [(field.attname, field.name) for field in model._meta.concrete_fields if field.is_relation]


def _kind(field: Any) -> type | None:
    while type(field) in (models.ForeignKey, models.OneToOneField):
        field = field.target_field
    return _KINDS.get(type(field))


_KINDS: Mapping[type, type] = {
    **dict.fromkeys((models.CharField, models.TextField), str),
    **dict.fromkeys((models.AutoField, models.BigAutoField, models.IntegerField, models.BigIntegerField), int),
    **dict.fromkeys((models.PositiveIntegerField, models.PositiveBigIntegerField), int),
    models.BooleanField: bool,
    models.DateField: date,
    models.DateTimeField: datetime,
    models.UUIDField: UUID,
}
"""Of Django's own fields, whose values need no change for PostgreSQL; a site's own may change them."""
