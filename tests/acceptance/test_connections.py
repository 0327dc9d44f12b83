"""Connections to the database: a stream that waits has none, and persistent ones serve the next request."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.postgresql import postgresql_database, postgresql_server
from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import Running, host

STREAMS = 5


def connections(server: Any, address: str) -> list[int]:
    """The processes of PostgreSQL that serve the database of this address."""
    name = address.rpartition("/")[2]
    query = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'"
    return [pid for (pid,) in server.execute(query, [name]).fetchall()]


@pytest.mark.parametrize(
    ("server", "age", "open_ones"), [("uvicorn", 0, 0), ("uvicorn", 60, 1), ("gunicorn-gthread", 60, 0)]
)
def test_streams_that_wait(server: str, age: int, open_ones: int, fake: Running, tmp_path: Path) -> None:
    """Under WSGI a stream keeps its thread, so that no connection of it is left open."""
    options: dict[str, Any] = {"settings": {"STORAGE": False}, "environment": {"WALDUR_CHAT_CONN_MAX_AGE": str(age)}}
    with postgresql_server() as postgresql, postgresql_database(postgresql) as address, ExitStack() as stack:
        provider = f"{fake.address}/v1"
        model = "tokens=2&delay=60"
        running = stack.enter_context(
            host(server, tmp_path, model=model, provider=provider, database=address, **options)
        )
        seen = set()
        for _ in range(STREAMS):
            read_until(stack.enter_context(open_stream(running)), b"w0")
            assert eventually(lambda: len(connections(postgresql, address)) == open_ones)
            seen.update(connections(postgresql, address))
        assert len(seen) == open_ones


def test_a_persistent_connection_that_was_lost_is_opened_anew(fake: Running, tmp_path: Path) -> None:
    options: dict[str, Any] = {"settings": {"STORAGE": False}, "environment": {"WALDUR_CHAT_CONN_MAX_AGE": "60"}}
    with postgresql_server() as postgresql, postgresql_database(postgresql) as address:
        provider = f"{fake.address}/v1"
        with host("uvicorn", tmp_path, model="tokens=2", provider=provider, database=address, **options) as running:
            for _ in range(3):
                with open_stream(running) as connection:
                    read_until(connection, b"event: end")
                (pid,) = connections(postgresql, address)
                postgresql.execute("SELECT pg_terminate_backend(%s)", [pid])
