"""Databases on the PostgreSQL server of the tests: `WALDUR_CHAT_TEST_POSTGRESQL`, by default one on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.acceptance.needs import missing, module
from tests.processes import free_port

ADDRESS = os.environ.get("WALDUR_CHAT_TEST_POSTGRESQL", "postgres://postgres@127.0.0.1:5432/postgres")


@contextmanager
def postgresql_server() -> Iterator[Any]:
    """A connection of our own to the server."""
    psycopg = module("psycopg")
    try:
        connection = psycopg.connect(ADDRESS, autocommit=True)
    except psycopg.OperationalError as error:
        missing(f"a PostgreSQL server at {urlsplit(ADDRESS).hostname} ({error})")
    with connection:
        yield connection


@contextmanager
def postgresql_database(server: Any) -> Iterator[str]:
    """The address of a database of our own."""
    name = f"waldur_chat_test_{os.getpid()}_{free_port()}"
    server.execute(f"CREATE DATABASE {name}")
    yield urlsplit(ADDRESS)._replace(path=f"/{name}").geturl()
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def pooled(address: str, connections: int) -> str:
    """The address for a process that has at most so many connections; SQLite has no end of them."""
    return f"{address}?pool={connections}" if address.startswith("postgres:") else address
