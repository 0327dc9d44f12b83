"""Whether turns can be stored: what the database must be able to do, and in which schema the tables are found."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections

from waldur_chat.runtime import tenants
from waldur_chat.store import sql

VENDORS = ("postgresql", "sqlite")
"""The databases whose SQL this package knows."""


def is_supported() -> bool:
    """Whether turns can be stored in this kind of database.

    Constraints of messages and turns need partial unique indexes, which MySQL, for example, lacks.
    """
    using = sql.database()
    return using.vendor in VENDORS and bool(using.features.supports_partial_indexes)


def obstacle(schema: str) -> str:
    """Why turns of this thread's connection cannot be stored; empty if they can.

    `schema` is the current one of the connection, empty on databases other than PostgreSQL. If the host's code has set
    another one than new connections have, this package's own threads would not find the turn. They set the schema of
    tenants that `runtime.tenants` knows.
    """
    if not is_supported():
        return f"Turns cannot be stored in this kind of database ({sql.database().vendor}): use PostgreSQL or SQLite"
    if not schema or tenants.current() is not None:
        return ""
    default = _schema_of_new_connections()
    if schema == default:
        return ""
    return f"Turns cannot be stored in the schema {schema}, since new connections use {default}"


def tenant_problem() -> tuple[str, str]:
    """What the settings tell of tenants' schemas that do not fit, and a hint; both may be empty.

    A schema that the host's own code sets does not show in settings; `obstacle()` finds it.
    """
    of_tenants = getattr(settings, "TENANT_APPS", ())
    if _is_among(of_tenants, get_user_model()._meta.app_label) and not _is_among(of_tenants, "waldur_chat"):
        message = "TENANT_APPS has the users, but not waldur_chat: users of several tenants would share conversations."
        return message, 'Add "waldur_chat" to TENANT_APPS.'
    if apps.is_installed("django_pgschemas"):
        return "The threads of waldur_chat cannot follow a request into a schema of django-pgschemas.", ""
    return "", ""


def _is_among(names: Iterable[str], label: str) -> bool:
    """Whether the app is among these names of apps or of their configurations."""
    name = apps.get_app_config(label).name
    return any(one == name or one.startswith(f"{name}.apps.") for one in names)


@cache
def _schema_of_new_connections() -> str:
    """The schema that connections have at first. Queried once per process.

    That of this thread's connection, if its search path is still the one with which it began: a second connection may
    not be had while requests hold all those of a pool.
    """
    statement = "SELECT current_schema(), setting = reset_val FROM pg_settings WHERE name = 'search_path'"
    ((schema, is_unchanged),) = sql.fetch(statement, [])
    if is_unchanged:
        return str(schema)
    with ThreadPoolExecutor(1) as executor:  # Django's connections belong to threads.
        return executor.submit(_schema_of_own_connection).result()


def _schema_of_own_connection() -> str:
    try:
        ((schema,),) = sql.fetch("SELECT current_schema()", [])
        return str(schema)
    finally:
        connections.close_all()
