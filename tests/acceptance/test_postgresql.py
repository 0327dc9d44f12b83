"""On PostgreSQL: no stream holds a connection of the database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.needs import missing, module
from tests.acceptance.streams import eventually, open_stream
from tests.processes import fake_service, free_port, host, stats

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
