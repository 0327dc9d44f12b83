"""The connections of a worker's thread: kept for a moment, not longer, and made anew where they broke."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections

from tests.unit.aio import run
from waldur_chat.runtime import worker
from waldur_chat.runtime.worker import Worker

pytestmark = pytest.mark.django_db(transaction=True)


def ask() -> Any:
    """An act that asks the database; gives the connection it was asked by, as the driver has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return connection.connection


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released whenever a worker of these tests closes its connection."""
    told, kind = threading.Semaphore(0), type(connections[DEFAULT_DB_ALIAS])
    close = kind.close

    def closing(self: Any) -> None:
        close(self)
        if threading.current_thread().name == "waldur-chat-test":  # Others may have ended something just now.
            told.release()

    monkeypatch.setattr(kind, "close", closing)
    return told


def test_a_connection_waits_for_the_next_act_and_is_closed_then(
    closed: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINGER_SECONDS", 60)

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        first = await fresh.submit(ask)
        await asyncio.sleep(0.05)
        monkeypatch.setattr(worker, "LINGER_SECONDS", 0.01)
        assert await fresh.submit(ask) is first

    run(main())
    assert closed.acquire(timeout=5)


def test_an_act_after_a_pause_has_a_connection_of_its_own(closed: threading.Semaphore) -> None:
    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        first = await fresh.submit(ask)
        assert await asyncio.to_thread(closed.acquire, timeout=5)
        assert await fresh.submit(ask) is not first

    run(main())


def test_a_connection_of_a_pool_is_given_back_at_once(
    closed: threading.Semaphore, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("Without a pool PostgreSQL's driver cannot be told that there is one.")
    monkeypatch.setattr(worker, "LINGER_SECONDS", 60)

    def ask_of_pool() -> None:
        ask()
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": {"pool": {"max_size": 1}}}

    async def main() -> None:
        await Worker("waldur-chat-test").submit(ask_of_pool)

    run(main())
    assert closed.acquire(timeout=5)


def test_a_connection_that_broke_meanwhile_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("A file does not go away.")
    monkeypatch.setattr(worker, "LINGER_SECONDS", 60)

    def killed() -> Any:
        with pytest.raises(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return connection.connection

    async def main() -> None:
        fresh = Worker("waldur-chat-broken")
        first = await fresh.submit(killed)
        assert await fresh.submit(ask) is not first
        monkeypatch.setattr(worker, "LINGER_SECONDS", 0)
        await fresh.submit(ask)

    run(main())
