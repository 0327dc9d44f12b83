"""The host project as a process, for the tests that call it with clients of other people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from typing import Any

import pytest

from tests.acceptance.databases import opened
from tests.acceptance.postgresql import postgresql_database, postgresql_server
from tests.processes import Running, fake_service, host


@pytest.fixture(scope="session")
def model_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The fake model service."""
    with fake_service(tmp_path_factory.mktemp("model_service")) as running:
        yield running


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fake model service of the module's own, for tests that count what it sees."""
    with fake_service(tmp_path_factory.mktemp("fake")) as running:
        yield running


@pytest.fixture(scope="session")
def chat_with(model_service: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start the host in front of a model, whose name says how it behaves; one process for each name."""
    with ExitStack() as stack:

        @cache
        def chat_with(model: str) -> Running:
            directory, provider = tmp_path_factory.mktemp("chat"), f"{model_service.address}/v1"
            settings = {"BREAKER_FAILURES": 1000}  # Many tests ask one that fails.
            return stack.enter_context(host("uvicorn", directory, model=model, provider=provider, settings=settings))

        yield chat_with


@pytest.fixture(scope="session")
def chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model says "w0 w1 w2 w3 w4 " at once."""
    return chat_with("tokens=5")


@pytest.fixture(scope="session")
def slow_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model says the same, each word 0.3 s after the other."""
    return chat_with("tokens=5&delay=0.3")


@pytest.fixture(scope="session")
def breaking_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model fails after its second word."""
    return chat_with("tokens=5&fault=2")


@pytest.fixture(scope="session")
def failing_chat(chat_with: Callable[[str], Running]) -> Running:
    """A host whose model answers nothing but 500."""
    return chat_with("status=500")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    """A connection to the PostgreSQL server."""
    with postgresql_server() as connection:
        yield connection


@pytest.fixture(scope="module")
def postgresql_address(postgresql: Any) -> Iterator[str]:
    """The address of a database of the module's own on the PostgreSQL server."""
    with postgresql_database(postgresql) as address:
        yield address


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[str]:
    """The module's own database, of each kind, open under the alias `databases.HOST`; a host has yet to set it up."""
    if request.param == "postgresql":
        address = request.getfixturevalue("postgresql_address")
    else:
        address = str(tmp_path_factory.mktemp("database") / "host.sqlite3")
    with django_db_blocker.unblock(), opened(address):
        yield address
