"""Insert rows through the ORM, with its signals, into the default database regardless of the site's routers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db.models import Model
from django.db.models.signals import post_save, pre_save

from waldur_chat.store import sql

M = TypeVar("M", bound=Model)


def insert(row: M) -> M:
    """Insert a row and return it; it then has its primary key."""
    row.save(force_insert=True, using=sql.database().alias)
    return row


def insert_all(rows: Sequence[Model]) -> None:
    """Insert rows of one model; one by one if it has signal receivers, since `bulk_create()` sends no signals."""
    if len(rows) > 1 and _can_bulk_create(type(rows[0])):
        type(rows[0])._default_manager.using(sql.database().alias).bulk_create(rows)
        return
    for row in rows:
        insert(row)


def _can_bulk_create(model: type[Model]) -> bool:
    # Without RETURNING (SQLite before 3.35), bulk_create() leaves the rows without primary keys, which callers need.
    returns_keys = sql.database().features.can_return_rows_from_bulk_insert
    return returns_keys and not any(signal.has_listeners(model) for signal in (pre_save, post_save))
