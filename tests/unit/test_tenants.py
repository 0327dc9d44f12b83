"""Tenants with a schema each: which one a thread's connection uses, and what belongs to each."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory
from rest_framework.request import Request
from rest_framework.views import APIView

from waldur_chat.api.request.throttles import ChatRateThrottle
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import PerTenant, Tenant
from waldur_chat.store import sql, support

RED, BLUE = (Tenant(name, SimpleNamespace(schema_name=name)) for name in ("red", "blue"))


class Connection:
    """A connection as django-tenants has it."""

    include_public_schema = True

    def __init__(self, tenant: Tenant) -> None:
        self.calls: list[str] = []
        self.set_tenant(tenant.row)
        self.calls.clear()

    def set_tenant(self, row: Any, include_public: bool = True) -> None:
        self.tenant, self.schema_name, self.include_public_schema = row, row.schema_name, include_public
        self.calls.append(row.schema_name)


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Connection:
    """This thread's connection, in the schema of one tenant."""
    connection = Connection(RED)
    monkeypatch.setattr(tenants, "connections", {"default": connection})
    return connection


@pytest.mark.parametrize("usual", [SimpleNamespace(), SimpleNamespace(schema_name="red"), SimpleNamespace(tenant=1)])
def test_other_hosts_have_none(monkeypatch: pytest.MonkeyPatch, usual: Any) -> None:
    monkeypatch.setattr(tenants, "connections", {"default": usual})
    assert tenants.current() is None
    assert tenants.run_within(RED, tenants.current) is None


def test_the_tenant_is_that_of_the_connection(connection: Connection) -> None:
    assert tenants.current() == RED
    connection.include_public_schema = False
    assert tenants.current() == Tenant("red", None, include_public=False) != RED


def test_within_another_tenant_and_back(connection: Connection) -> None:
    assert tenants.run_within(BLUE, tenants.current) == BLUE
    assert connection.calls == ["blue", "red"]


@pytest.mark.parametrize("tenant", [None, RED])
def test_nothing_is_set_where_nothing_changes(connection: Connection, tenant: Tenant | None) -> None:
    assert tenants.run_within(tenant, tenants.current) == RED
    assert connection.calls == []


@pytest.mark.parametrize("user", [AnonymousUser(), SimpleNamespace(pk=7)])
def test_rates_are_counted_for_each_tenant(connection: Connection, monkeypatch: pytest.MonkeyPatch, user: Any) -> None:
    request = Request(RequestFactory().post("/"))
    request.user = user
    keys = [tenants.run_within(tenant, ChatRateThrottle().get_cache_key, request, APIView()) for tenant in (RED, BLUE)]
    monkeypatch.setattr(tenants, "connections", {"default": SimpleNamespace()})
    keys.append(ChatRateThrottle().get_cache_key(request, APIView()))
    assert keys[0] == keys[2].replace("None_", "None_red:") != keys[1] == keys[2].replace("None_", "None_blue:")


def test_a_failure_leads_back_too(connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), tenants.within(BLUE):
        1 / 0  # noqa: B018
    assert tenants.current() == RED


def test_each_has_objects_of_its_own() -> None:
    made: PerTenant[list[Tenant | None]] = PerTenant(lambda tenant: [tenant])
    assert (made(), made(RED), made(BLUE)) == ([None], [RED], [BLUE])
    kept = made(RED)
    assert made(Tenant("red", "another object for the same")) is kept
    made.reset()
    assert made(RED) is not kept


def test_objects_are_made_once_by_threads_that_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: PerTenant[object] = PerTenant(lambda tenant: object())
    first: list[object] = []

    class Lock:
        """One that another thread has had first."""

        def __enter__(self) -> None:
            made._objects().setdefault(None, first)

        def __exit__(self, *error: object) -> None: ...

    monkeypatch.setattr(made, "_lock", Lock)
    assert made() is first


def test_users_of_two_tenants_are_not_one() -> None:
    assert [tenants.qualified("1", one) for one in (None, RED, BLUE)] == ["1", "red:1", "blue:1"]
    assert tenants.qualified("", RED) == ""


@pytest.fixture
def like_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database whose new connections use the schema `public`."""
    features = SimpleNamespace(supports_partial_indexes=True)
    using = SimpleNamespace(features=features, vendor="postgresql")
    monkeypatch.setattr(sql, "database", lambda: using)
    monkeypatch.setattr(support, "_schema_of_new_connections", lambda: "public")


@pytest.mark.usefixtures("like_postgresql")
@pytest.mark.parametrize(("schema", "tenant", "expected"), [("public", None, False), ("red", None, True),
                                                             ("red", RED, False), ("", None, False)])  # fmt: skip
def test_turns_are_stored_where_threads_of_our_own_find_them(
    monkeypatch: pytest.MonkeyPatch, schema: str, tenant: Tenant | None, expected: bool
) -> None:
    monkeypatch.setattr(tenants, "current", lambda: tenant)
    assert ("since new connections use public" in support.obstacle(schema)) is expected


def test_a_database_that_lacks_what_turns_need_stores_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for vendor, has_indexes in (("mysql", False), ("sqlite", False), ("microsoft", True)):
        features = SimpleNamespace(supports_partial_indexes=has_indexes)
        using = SimpleNamespace(features=features, vendor=vendor)
        monkeypatch.setattr(sql, "database", lambda using=using: using)
        assert f"({vendor})" in support.obstacle("")


@pytest.mark.parametrize(("is_unchanged", "queries"), [(True, 1), (False, 2)])
def test_the_schema_of_new_connections_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, is_unchanged: bool, queries: int
) -> None:
    """Another connection is opened only if the search path of this one was changed."""
    threads: list[str] = []

    def fetch(statement: str, values: object) -> list[tuple[object, ...]]:
        threads.append(threading.current_thread().name)
        if "pg_settings" in statement:
            return [("public" if is_unchanged else "red", is_unchanged)]
        return [("public",)]

    monkeypatch.setattr(sql, "fetch", fetch)
    support._schema_of_new_connections.cache_clear()
    assert [support._schema_of_new_connections() for _ in range(2)] == ["public", "public"]
    assert (len(threads), len(set(threads))) == (queries, queries)
    support._schema_of_new_connections.cache_clear()
