"""A host with a PostgreSQL schema for each tenant: nothing of one's turns gets into the schema of another."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.acceptance.needs import module
from tests.acceptance.streams import eventually, read_until
from tests.processes import ROOT, Running, fake_service, free_port, host
from tests.tenants.setting_up import TENANTS

TURNS = 10
"""How many turns of each tenant run at once."""

SETTINGS = {"TITLES": True, "FINISH_SECONDS": None, "USER_TOKENS_DAILY": 10**9, "TURNS_PER_USER": 100}
STORED = "SELECT text FROM waldur_chat_message WHERE role = 'assistant'"
PIECES = "SELECT text FROM waldur_chat_piece"
RUNNING = "SELECT uuid::text FROM waldur_chat_turn WHERE status = 'running' AND purpose = 'answer'"
NAMES = "SELECT DISTINCT name FROM waldur_chat_thread"
HELD = "SELECT reserved FROM waldur_chat_budget WHERE user_id IS NOT NULL"
ANSWER = "SELECT text FROM waldur_chat_turn u JOIN waldur_chat_message m ON answer_id = m.id WHERE u.uuid = '{}'"
THREAD = "SELECT t.uuid::text FROM waldur_chat_thread t JOIN waldur_chat_turn u ON thread_id = t.id WHERE u.uuid = '{}'"


def settings_of(name: str) -> dict[str, str]:
    """The environment of a process with these settings."""
    return {"DJANGO_SETTINGS_MODULE": f"tests.tenants.{name}"}


@pytest.fixture(scope="module")
def tenants(postgresql_address: str) -> str:
    """The address of the database with the tenants' schemas."""
    module("django_tenants")
    environment = {**os.environ, **settings_of("settings"), "WALDUR_CHAT_DB": postgresql_address}
    command = [sys.executable, "-m", "tests.tenants.setting_up"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return postgresql_address


@pytest.fixture(scope="module")
def start(tenants: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Running]]:
    """Start a process of the host on a kind of server."""
    directory = tmp_path_factory.mktemp("tenants")
    with fake_service(directory) as fake, ExitStack() as stack:

        def start(server: str, name: str = "settings", **settings: Any) -> Running:
            site = host(
                server,
                directory,
                model="text=A+title",
                provider=f"{fake.address}/v1",
                settings={**SETTINGS, **settings},
                database=tenants,
                environment=settings_of(name),
                log=directory / f"{free_port()}.log",
                is_set_up=True,
            )
            return stack.enter_context(site)

        yield start


@pytest.fixture(scope="module", params=["uvicorn", "gunicorn-gthread"])
def sites(request: Any, start: Callable[..., Running]) -> list[Running]:
    """Two processes of the host on each kind of server."""
    return [start(request.param) for _ in range(2)]


def send(site: Running, tenant: str, method: str, path: str, body: object = None) -> socket.socket:
    """Send a request of the tenant's user; nothing is read."""
    connection = socket.create_connection(("127.0.0.1", site.port), timeout=60)
    data = json.dumps(body) if body else ""
    connection.sendall(
        f"{method} {path} HTTP/1.0\r\nHost: {tenant}.localhost\r\nAuthorization: Token {tenant}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n{data}".encode()
    )
    return connection


def ask(site: Running, tenant: str, *, words: int = 30) -> socket.socket:
    """Ask for an answer in words of the tenant's own."""
    question = f"fake:text={'+'.join([tenant] * words)}&delay=0.05"
    return send(site, tenant, "POST", "/api/chat/stream/", {"input": question})


def whole(connection: socket.socket) -> str:
    """The whole response."""
    with closing(connection):
        return read_until(connection, b"\0").decode()


def said(stream: str) -> list[str]:
    """The words of a stream."""
    data = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]
    return "".join(one.get("c", "") for one in data).split()


def words_of(texts: Sequence[str]) -> set[str]:
    """The words of these texts."""
    return {word for text in texts for word in text.split()}


def rows(address: str, schema: str, query: str) -> list[Any]:
    """The first column of a query within a schema."""
    with module("psycopg").connect(address, autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}")
        return [value for (value,) in connection.execute(query).fetchall()]


def running(address: str, tenant: str) -> str:
    """The turn of a tenant that runs, once some of its text was flushed."""
    assert eventually(lambda: bool(rows(address, tenant, PIECES) and rows(address, tenant, RUNNING)))
    return str(rows(address, tenant, RUNNING)[0]).replace("-", "")


def test_tenants_that_answer_at_once_keep_their_words_to_themselves(sites: Sequence[Running], tenants: str) -> None:
    begun = [(tenant, ask(site, tenant)) for _ in range(TURNS // len(sites)) for tenant in TENANTS for site in sites]
    assert eventually(lambda: all(len(rows(tenants, tenant, PIECES)) > TURNS for tenant in TENANTS))
    flushed = {tenant: rows(tenants, tenant, PIECES) for tenant in TENANTS}
    assert all(said(whole(connection)) == [tenant] * 30 for tenant, connection in begun)
    for tenant in TENANTS:
        stored = rows(tenants, tenant, STORED)
        assert len([text for text in stored if text.split() == [tenant] * 30]) >= TURNS
        assert words_of([*stored, *flushed[tenant]]) == {tenant}
        assert eventually(lambda name=tenant: rows(tenants, name, NAMES) == ["A title"])
        assert eventually(lambda name=tenant: rows(tenants, name, HELD) == [0])
    assert rows(tenants, "public", STORED) == []


def test_a_tenants_turn_is_resumed_and_stopped_in_another_process(sites: Sequence[Running], tenants: str) -> None:
    with closing(ask(sites[0], "blue", words=400)), closing(ask(sites[0], "red", words=400)):
        turns = {tenant: running(tenants, tenant) for tenant in TENANTS}
        paths = {tenant: f"/api/chat/turns/{turn}/events/" for tenant, turn in turns.items()}
        assert "404" in whole(send(sites[1], "red", "GET", paths["blue"])).splitlines()[0]
        readers = {tenant: send(sites[1], tenant, "GET", path) for tenant, path in paths.items()}
        for tenant, reader in readers.items():
            read_until(reader, tenant.encode())
            (thread,) = rows(tenants, tenant, THREAD.format(turns[tenant]))
            whole(send(sites[1], tenant, "POST", f"/api/chat-threads/{thread}/cancel/"))
            assert "event: cancelled" in whole(reader)
            assert words_of(rows(tenants, tenant, ANSWER.format(turns[tenant]))) == {tenant}


def test_a_turn_whose_process_dies_is_ended_in_its_tenants_schema(
    sites: Sequence[Running], start: Callable[..., Running], tenants: str
) -> None:
    dying = start("uvicorn")
    with closing(ask(dying, "blue", words=400)), closing(ask(dying, "red", words=400)):
        turns = {tenant: running(tenants, tenant) for tenant in TENANTS}
        dying.process.kill()
        for tenant, turn in turns.items():
            whole(ask(sites[0], tenant, words=1))  # The process then looks after this tenant.
            query = ANSWER.format(turn)
            assert eventually(lambda name=tenant, sql=query: bool(rows(tenants, name, sql)), seconds=20)
            assert words_of(rows(tenants, tenant, query)) == {tenant}


def test_in_schemas_that_cannot_be_followed_nothing_is_stored_and_the_log_says_so(
    start: Callable[..., Running], tenants: str
) -> None:
    site = start("uvicorn", "home_made")
    before = rows(tenants, "red", STORED)
    refused = whole(ask(site, "red"))
    assert ("409" in refused.splitlines()[0], "chat_not_configured" in refused) == (True, True)
    assert "Turns cannot be stored in the schema red, since new connections use public" in site.log.read_text()
    assert (rows(tenants, "red", STORED), rows(tenants, "public", STORED)) == (before, [])


def test_without_storage_those_are_answered(start: Callable[..., Running]) -> None:
    site = start("uvicorn", "home_made", STORAGE=False, USER_TOKENS_DAILY=-1)
    assert said(whole(ask(site, "red"))) == ["red"] * 30
