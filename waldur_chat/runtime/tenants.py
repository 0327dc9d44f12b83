"""Tenants: sites that share a process and a database, where each has a PostgreSQL schema of its own.

The host's middleware sets the schema on the database connection of a request's thread. The threads of this package have
connections of their own: for each turn they set the schema in which the turn began. This works with connections that
have `schema_name`, `tenant` and `set_tenant()`, as those of django-tenants and its relatives
(https://django-tenants.readthedocs.io/en/latest/use.html). `store.support` refuses to store turns in other schemas.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections

from waldur_chat.runtime.forked import PerProcess

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tenant:
    """The schema of a tenant, and the host's object for it."""

    schema: str
    row: Any = field(compare=False, repr=False)
    include_public: bool = True


def current() -> Tenant | None:
    """The tenant of this thread's connection; None on hosts without tenants."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    if not (getattr(connection, "schema_name", None) and hasattr(connection, "set_tenant")):
        return None
    return Tenant(connection.schema_name, connection.tenant, getattr(connection, "include_public_schema", True))


@contextmanager
def within(tenant: Tenant | None) -> Iterator[None]:
    """Use the tenant's schema on this thread's connection in this context."""
    before = current()
    if tenant is None or before is None or tenant == before:
        yield
        return
    connection: Any = connections[DEFAULT_DB_ALIAS]
    connection.set_tenant(tenant.row, tenant.include_public)
    try:
        yield
    finally:
        connection.set_tenant(before.row, before.include_public)


def run_within(tenant: Tenant | None, operation: Callable[..., T], *args: object) -> T:
    """Call the function within the schema of the tenant."""
    with within(tenant):
        return operation(*args)


class PerTenant(Generic[T]):
    """Calling it returns this process's object for a tenant, which `factory` creates at the first call."""

    def __init__(self, factory: Callable[[Tenant | None], T]) -> None:
        self._factory = factory
        self._lock = PerProcess(threading.Lock)
        self._objects: PerProcess[dict[Tenant | None, T]] = PerProcess(dict)

    def __call__(self, tenant: Tenant | None = None) -> T:
        objects = self._objects()
        if tenant not in objects:
            with self._lock():
                if tenant not in objects:
                    objects[tenant] = self._factory(tenant)
        return objects[tenant]

    def reset(self) -> None:
        """Replace all objects by new ones."""
        self._objects.reset()


def qualified(key: str, tenant: Tenant | None) -> str:
    """A user's key that is unique among the users of all tenants; an empty one stays empty."""
    return f"{tenant.schema}:{key}" if tenant and key else key
