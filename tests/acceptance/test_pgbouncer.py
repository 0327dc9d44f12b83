"""Behind PgBouncer in transaction mode everything works: each transaction may be on another connection."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections

from tests.acceptance.databases import HOST, opened
from tests.acceptance.needs import module
from tests.acceptance.operations import MAKE_STAFF, call, server_errors
from tests.acceptance.pgbouncer import pgbouncer
from tests.acceptance.postgresql import postgresql_database
from tests.acceptance.streams import header, open_stream, read_head, read_until
from tests.processes import TOKEN, Running, hosts, let_go
from waldur_chat.store.turns.partials import CHANNEL
from waldur_chat.turns import notifier
from waldur_chat.turns.notifier import ChangeNotifier

pytestmark = pytest.mark.slow

WAITS = "fake:tokens=5&at=2&then=wait"
SETTINGS = {"USER_TOKENS_DAILY": 1_000_000, "TURNS_PER_SITE": 50, "REQUESTS_PER_MINUTE": 10_000, "FINISH_SECONDS": 60}


@pytest.fixture(scope="module", params=["", "?server_cursors=off"], ids=["server cursors", "no server cursors"])
def site(
    request: pytest.FixtureRequest, postgresql: Any, fake: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Running]]:
    """Two hosts on one database, one of them under WSGI. Their user is staff."""
    options = {"settings": SETTINGS, "provider": f"{fake.address}/v1"}
    with postgresql_database(postgresql) as address, pgbouncer(address) as pooled:
        servers = hosts(
            ["uvicorn", "gunicorn-gthread"],
            tmp_path_factory.mktemp("site"),
            database=f"{pooled}{request.param}",
            **options,
        )
        with servers as running:
            with module("psycopg").connect(address, autocommit=True) as connection:
                connection.execute(MAKE_STAFF)
            yield running


def rejoin(server: Running, turn: str) -> Any:
    """The events of a turn, from the beginning."""
    headers = {"Authorization": f"Token {TOKEN}", "Accept": "text/event-stream"}
    return urllib.request.urlopen(
        urllib.request.Request(f"{server.address}/api/chat/turns/{turn}/events/", headers=headers)
    )


@pytest.mark.parametrize("number", [0, 1])
def test_an_answer_is_read_stored_and_followed_from_another_process(
    site: list[Running], fake: Running, number: int
) -> None:
    asked, other = site[number], site[1 - number]
    with open_stream(asked, input=WAITS) as connection:
        head = read_head(connection)
        thread, turn = header(head, "x-chat-thread"), header(head, "x-chat-turn")
        with rejoin(other, turn) as followed:
            begun = followed.read1()
            let_go(fake)
            rest = read_until(connection, b"event: end")
            assert b"w4" in head + rest
            assert b"w4" in begun + followed.read()
    status, stored = call(other, "GET", f"/api/chat-messages/?thread={thread}")
    assert (status, [one["content"] for one in json.loads(stored)]) == (200, [WAITS, "w0 w1 w2 w3 w4 "])


def test_an_answer_is_cancelled_by_another_process(site: list[Running]) -> None:
    with open_stream(site[0], input=WAITS) as connection:
        thread = header(read_head(connection), "x-chat-thread")
        assert call(site[1], "POST", f"/api/chat-threads/{thread}/cancel/")[0] == 200
        assert b"event: cancelled" in read_until(connection, b"event: cancelled")


def test_nobody_listens_on_connections_that_others_get_next(
    postgresql: Any, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        postgresql_database(postgresql) as address,
        pgbouncer(address) as pooled,
        django_db_blocker.unblock(),
        opened(pooled),
    ):
        monkeypatch.setattr(notifier, "connection", connections[HOST])
        waiting = ChangeNotifier()
        waiting.wait(0)
        waiting.wait(0)
        with connections[HOST].cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")
            cursor.execute("SELECT count(*) FROM pg_listening_channels()")
            assert cursor.fetchone() == (0,)


@pytest.mark.parametrize("number", [0, 1])
def test_no_operation_fails(site: list[Running], number: int) -> None:
    with open_stream(site[number], input="fake:tokens=3") as connection:
        thread = header(read_head(connection), "x-chat-thread")
        read_until(connection, b"event: end")
    for kind in ("json", "markdown"):
        status, exported = call(site[number], "GET", f"/api/chat-sessions/current/export/?as={kind}")
        assert (status, "w0 w1 w2" in exported) == (200, True)
    assert server_errors(site[number], thread) == []
