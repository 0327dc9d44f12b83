"""The look at the default database: whether it answers, and which migrations of the package it lacks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

APP = "waldur_chat"
TABLE = "django_migrations"
CONNECT_SECONDS = 2
"""The least that libpq takes. Without it an attempt to reach a lost server lasts minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What a look at the database has found; `missing` is None where migrations are each tenant's."""

    seconds: float
    missing: tuple[str, ...] | None


class DatabaseLook:
    """Looks at the database of one process, over a new connection, so that a database that takes no more is noticed."""

    def __init__(self) -> None:
        self._is_complete = False
        """Whether no migration was missing: then none will be."""

    def __call__(self) -> DatabaseState:
        """Raises the errors of the database."""
        began = time.monotonic()
        with _own_connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT 1{connection.features.bare_select_suffix}")
            missing = () if self._is_complete else _missing(connection, cursor)
        self._is_complete = missing == ()
        return DatabaseState(seconds=time.monotonic() - began, missing=missing)


@contextmanager
def _own_connection() -> Iterator[Any]:
    """A connection beside those of Django and outside of its pool, which requests may have emptied."""
    usual: Any = connections[DEFAULT_DB_ALIAS]
    options = {name: value for name, value in usual.settings_dict["OPTIONS"].items() if name != "pool"}
    if usual.vendor == "postgresql":
        options.setdefault("connect_timeout", CONNECT_SECONDS)
    own = type(usual)({**usual.settings_dict, "OPTIONS": options}, DEFAULT_DB_ALIAS)
    try:
        yield own
    finally:
        own.close()
        if own.connection is not None:  # Django keeps connections to SQLite in memory open.
            own.connection.close()


def _missing(connection: Any, cursor: Any) -> tuple[str, ...] | None:
    """The names of the package's migrations that were not applied."""
    if hasattr(connection, "set_tenant"):
        return None
    names = _names()
    if names and TABLE in connection.introspection.table_names(cursor):
        cursor.execute(f"SELECT name FROM {TABLE} WHERE app = %s", [APP])  # noqa: S608  # A constant.
        names -= {name for (name,) in cursor.fetchall()}
    return tuple(sorted(names))


def _names() -> set[str]:
    """The names of the package's migrations; none where the site has switched them off."""
    replaced = settings.MIGRATION_MODULES
    module: Any = f"{APP}.migrations"
    if APP in replaced:  # Only this and [] are there in what tests of sites put in its place.
        module = replaced[APP]
    if module is None:
        return set()
    return {one.name for one in iter_modules(import_module(module).__path__) if one.name[0] not in "_~"}
