"""On PostgreSQL: no stream holds a connection of the database, and processes share their limits."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.needs import missing, module
from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import Running, fake_service, free_port, host, stats

ADDRESS = os.environ.get("WALDUR_CHAT_TEST_POSTGRESQL", "postgres://postgres@127.0.0.1:5432/postgres")


@pytest.fixture(scope="module")
def server_connection() -> Iterator[Any]:
    """A connection of our own to the server."""
    psycopg = module("psycopg")
    try:
        connection = psycopg.connect(ADDRESS, autocommit=True)
    except psycopg.OperationalError as error:
        missing(f"a PostgreSQL server at {urlsplit(ADDRESS).hostname} ({error})")
    with connection:
        yield connection


@pytest.fixture(scope="module")
def database(server_connection: Any) -> Iterator[str]:
    """The address of a database of our own."""
    name = f"waldur_chat_test_{os.getpid()}_{free_port()}"
    server_connection.execute(f"CREATE DATABASE {name}")
    yield urlsplit(ADDRESS)._replace(path=f"/{name}").geturl()
    server_connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
@pytest.mark.parametrize("silence", ["head=60", "tokens=2&delay=60"])
def test_a_stream_holds_no_connection(
    server: str, silence: str, server_connection: Any, database: str, tmp_path: Path
) -> None:
    name = urlsplit(database).path.lstrip("/")
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    with (
        fake_service(tmp_path) as fake,
        host(server, tmp_path, model=silence, provider=f"{fake.address}/v1", database=database) as running,
        open_stream(running),
    ):
        assert eventually(lambda: stats(fake)["answering"] == 1)
        assert eventually(lambda: server_connection.execute(count, [name]).fetchone() == (0,), seconds=2)


def _asked(server: Running) -> bytes:
    with open_stream(server) as connection:
        return _status(connection)


def _status(connection: socket.socket) -> bytes:
    return read_until(connection, b"\r\n").split(b" ")[1]


@pytest.mark.parametrize(("limit", "status"), [("TURNS_PER_SITE", b"503"), ("TURNS_PER_USER", b"429")])
def test_processes_share_their_limits_and_survive_each_other(
    limit: str, status: bytes, database: str, tmp_path: Path
) -> None:
    settings = {limit: 3, "QUEUE_LENGTH": 0, "TURN_SECONDS": 4, "SHUTDOWN_SECONDS": 1}
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with fake_service(tmp_path) as fake, ExitStack() as stack:
        site = {"model": "tokens=2&delay=60", "provider": f"{fake.address}/v1", "settings": settings}
        hosts = [stack.enter_context(host("uvicorn", path, database=database, **site)) for path in (one, other)]
        connections = [stack.enter_context(open_stream(hosts[number % 2])) for number in range(8)]
        assert sorted(_status(connection) for connection in connections) == sorted([b"200"] * 3 + [status] * 5)
        for killed in hosts:
            killed.process.kill()
        with host("uvicorn", one, database=database, **{**site, "model": "tokens=1"}) as running:
            assert eventually(lambda: _asked(running) == b"200")
