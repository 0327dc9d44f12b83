"""What all tests need first."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test import TransactionTestCase, override_settings

from waldur_chat.engine import running_turns
from waldur_chat.health.report import database_looks, last_found, settings_looks
from waldur_chat.runtime import shortcuts
from waldur_chat.turns import heartbeat
from waldur_chat.turns.heartbeat import heartbeat_of_process
from waldur_chat.turns.held_tokens import reports_of_process
from waldur_chat.turns.reaper import reaper_of_process

os.environ["WALDUR_CHAT_DB_SYNC"] = "0"  # Here, and in all processes that tests start. See tests/host/settings.py.

KEPT = {"django_migrations", "django_content_type", "auth_permission"}
"""Tables whose rows the migrations have made."""

MARKED = {
    "tests/acceptance": pytest.mark.servers,
    "tests/acceptance/cluster": pytest.mark.slow,
    "tests/acceptance/page": pytest.mark.browser,
}
"""Marks of all tests in a folder, and below it."""


def pytest_unconfigure() -> None:
    """What is left to be stored is tried once more when the process exits, and logged to a stream that is closed."""
    logging.raiseExceptions = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs more than the package; -m is looked at later. What else is marked says so itself."""
    for item in items:
        for folder, mark in MARKED.items():
            if (item.config.rootpath / folder) in item.path.parents:
                item.add_marker(mark)
        if _asks_postgresql(item):
            item.add_marker(pytest.mark.postgres)


def _asks_postgresql(item: Any) -> bool:
    chosen = item.callspec.params.get("database") if hasattr(item, "callspec") else None
    return "postgresql" in item.fixturenames or chosen == "postgresql"


@pytest.fixture(scope="session", autouse=True)
def host_urls() -> None:
    """Import the host's views under the host's own settings, before a test replaces these."""
    import tests.host.urls  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """A password takes no half second to be hashed, here and for each superuser of pytest-django."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def no_lingering() -> None:
    """The watch of this process ends with its last turn, so that no test sees queries of an earlier one's."""
    heartbeat.LINGER_SECONDS = 0.0


@pytest.fixture(autouse=True)
def nobody_is_watched() -> Iterator[None]:
    """A turn that a test has left running is not looked after, or seen to be dead, during the next one.

    That has a heartbeat of its own: one that ended while a test's database was away would say that it is back.
    """
    yield
    reaper_of_process.reset()
    heartbeat_of_process()._turns.clear()
    heartbeat_of_process.reset()
    reports_of_process.reset()


@pytest.fixture(autouse=True)
def nobody_is_stopping() -> Iterator[None]:
    """A server that stopped during a test does not stop during the next one."""
    yield
    running_turns.registry().stopping_since = None


@pytest.fixture(autouse=True)
def nobody_looks() -> Iterator[None]:
    """A look of readiness ends with its test: the next one begins its own, and none outlives the database."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("waldur-chat-health"):
            thread.join(10)
            assert not thread.is_alive()
    for per_process in (database_looks, settings_looks, last_found):
        per_process.reset()


@pytest.fixture(autouse=True)
def settings_are_as_before() -> Iterator[None]:
    """Settings that were overridden crosswise stay so for all tests to come: that is a failure of this one."""
    before = settings._wrapped
    yield
    overridden, settings._wrapped = settings._wrapped, before
    assert overridden is before


@pytest.fixture
def no_shortcuts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose environment says that it wants none."""
    monkeypatch.setenv(shortcuts.ENVIRONMENT, "0")
    shortcuts.is_on.cache_clear()
    yield
    shortcuts.is_on.cache_clear()


@pytest.fixture
def with_shortcuts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose environment says nothing, for tests of shortcuts themselves: all others go without, too."""
    monkeypatch.delenv(shortcuts.ENVIRONMENT, raising=False)
    shortcuts.is_on.cache_clear()
    yield
    shortcuts.is_on.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def emptied_tables() -> None:
    """Empty the tables after a test that has committed, which takes a tenth of the time that Django's own flush takes.

    A flush truncates, and makes all content types and permissions anew.
    """
    TransactionTestCase._fixture_teardown = _empty_tables


def _empty_tables(test: Any) -> None:
    for alias in test._databases_names(include_mirrors=False):
        connection = connections[alias]
        with transaction.atomic(using=alias), connection.cursor() as cursor:  # Foreign keys are looked at in the end.
            for table in connection.introspection.django_table_names(only_existing=False, include_views=False):
                if table not in KEPT:
                    cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
