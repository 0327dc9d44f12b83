"""The table of faults: whatever breaks, the client gets the documented answer in bounded time, and nothing is left.

Each fault is tried at one endpoint of one server, the next one elsewhere. With `WALDUR_CHAT_WRITE_TABLE=1` each is
tried at both on both, and a run of all these tests writes the table of `docs/reliability.md`.
"""

from __future__ import annotations

import os
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from itertools import product

import pytest

from tests.acceptance.faults import table
from tests.acceptance.faults.asking import ask, connect, receive
from tests.acceptance.faults.rows import GONE, ROWS, SETTINGS, STOPPED, WELL, Row
from tests.acceptance.faults.sites import Site, listeners, site
from tests.acceptance.streams import eventually
from tests.processes import Running, stats

pytestmark = pytest.mark.core

WRITES_THE_TABLE = bool(os.environ.get("WALDUR_CHAT_WRITE_TABLE"))
SLACK = 0.5 if WRITES_THE_TABLE else 1.5
"""Seconds; more where other tests run at the same time."""
MEMORY = 100_000_000
"""Bytes: a dozen for each character of the longest answer, which is kept until it is stored."""


@pytest.fixture(scope="module")
def site_of(
    fake: Running, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Site]]:
    """Give the host of a kind on a server; each is started once."""
    with ExitStack() as stack:
        ports = stack.enter_context(listeners(tmp_path_factory.mktemp("listeners")))

        @cache
        def site_of(server: str, kind: str) -> Site:
            address = request.getfixturevalue("postgresql_address") if kind == "postgresql" else ""
            return stack.enter_context(site(server, kind, fake, ports, tmp_path_factory.mktemp("site"), address))

        yield site_of


@pytest.fixture(scope="module")
def measured() -> Iterator[dict[str, table.Measured]]:
    """What was measured, by fault."""
    rows: dict[str, table.Measured] = defaultdict(table.Measured)
    yield rows
    if WRITES_THE_TABLE:
        assert all(rows[row.name].is_complete for row in (*ROWS, *STOPPED)), "the table needs all tests"
        table.write((row.name, rows[row.name]) for row in (*ROWS, *STOPPED))


@pytest.mark.parametrize(
    ("row", "server", "endpoint"),
    [
        pytest.param(row, *column, id="-".join((row.name, *column)))
        for (number, row), (place, column) in product(enumerate(ROWS), enumerate(table.COLUMNS))
        if WRITES_THE_TABLE or place == number % len(table.COLUMNS)
    ],
)
def test_a_fault_is_answered_as_documented(
    row: Row,
    server: str,
    endpoint: str,
    site_of: Callable[[str, str], Site],
    measured: dict[str, table.Measured],
) -> None:
    host = site_of(server, row.site)
    ask(host.server, endpoint, "fake:")  # So that a connection is open that may be used again.
    before, asked = host.traces(), stats(host.fake)["asked"]
    tracebacks = host.tracebacks()
    host.forget_memory()
    memory = host.memory("VmRSS")
    told, seconds = (_stay if row.client == "stays" else _leave)(host, row, endpoint)
    asked = stats(host.fake)["asked"] - asked
    memory = host.memory() - memory
    following = ask(host.server, endpoint, "fake:")
    left = host.left_behind(before)
    if left == "1 threads":  # A pool may have grown, and keeps its thread. A leak would leave another one.
        before = host.traces()
        (_stay if row.client == "stays" else _leave)(host, row, endpoint)
        left = host.left_behind(before)
    measured[row.name].note(server, endpoint, told, seconds, left)
    assert told == row.expected(endpoint)
    assert asked == row.asked
    assert seconds <= row.limit + SLACK
    assert memory < MEMORY
    assert (following.told, following.text) == ("200", "w0 w1 w2 w3 w4 ")
    assert "ratelimit" in following.headers, "the throttles, and with them the cache, are at work"
    assert left == "nothing"
    assert host.tracebacks() == tracebacks or told == "500"


def _stay(host: Site, row: Row, endpoint: str) -> tuple[str, float]:
    """Ask and read to the end, while what the row says breaks; what the client was told, in how many seconds."""
    what, _, when = row.breaks.partition(" ")
    question = row.question.format(**host.ports)
    with ExitStack() as broken:

        def amid() -> None:
            assert eventually(lambda: stats(host.fake)["answering"] == 1)
            broken.enter_context(host.without(what))

        if when == "before":
            broken.enter_context(host.without(what))
        answer = ask(host.server, endpoint, question, amid if when == "amid" else lambda: None)
    if row.answer and answer.told == WELL:
        assert answer.text == row.answer
    assert not row.absent or row.absent.encode() not in answer.body
    assert answer.status not in (429, 503) or int(answer.headers["retry-after"]) > 0
    assert not row.retry_after or answer.headers["retry-after"] == row.retry_after
    assert all("/elsewhere" not in request["target"] for request in stats(host.fake)["requests"])
    return answer.told, answer.seconds


def _leave(host: Site, row: Row, endpoint: str) -> tuple[str, float]:
    """Ask and leave when the row says so; the seconds until the provider's connection is closed."""
    writing = row.client == "leaves during a write"
    question = row.whole if row.whole and endpoint == "invoke" else row.question
    with connect(host.server, endpoint, question, receive_buffer=4096 if writing else 0) as connection:
        assert eventually(lambda: stats(host.fake)["answering"] == 1 or writing)
        if writing or (endpoint == "stream" and "between" in row.client):
            connection.recv(100)
        if writing:
            assert eventually(lambda: _stands_still(host))
            assert stats(host.fake)["answering"] == (endpoint == "stream")  # An invoke is written when it is whole.
        since = time.monotonic()
        if row.client == "half-closes":
            connection.shutdown(socket.SHUT_WR)
            receive(connection, since)
    assert eventually(lambda: stats(host.fake)["answering"] == 0)
    return GONE, time.monotonic() - since


def _stands_still(host: Site) -> bool:
    """Whether the provider's answer waits for its reader, or has ended."""
    written = stats(host.fake)["written"]
    return not eventually(lambda: stats(host.fake)["written"] > written, seconds=0.3)


@pytest.mark.parametrize("server", table.SERVERS)
def test_a_server_that_is_stopped_ends_what_runs(
    server: str, site_of: Callable[[str, str], Site], measured: dict[str, table.Measured]
) -> None:
    host = site_of(server, "stopping")
    with ExitStack() as stack:
        running = [
            (row, endpoint, stack.enter_context(connect(host.server, endpoint, row.question)))
            for row, endpoint in product(STOPPED, table.ENDPOINTS)
        ]
        assert eventually(lambda: stats(host.fake)["answering"] == len(running))
        host.server.process.terminate()
        since = time.monotonic()
        answers = [(row, endpoint, receive(connection, since)) for row, endpoint, connection in running]
    host.server.process.wait(5)
    stopped = time.monotonic() - since
    left = "nothing" if eventually(lambda: stats(host.fake)["answering"] == 0, seconds=1) else "connections"
    for row, endpoint, answer in answers:
        measured[row.name].note(server, endpoint, answer.told, answer.seconds, left)
    for row, endpoint, answer in answers:
        assert answer.told == row.expected(endpoint)
        assert answer.seconds <= row.limit + SLACK
    assert stopped <= SETTINGS["SHUTDOWN_SECONDS"] + SLACK + 1.0  # gunicorn looks after its workers once a second.
    assert left == "nothing"
    assert host.tracebacks() == 0


def test_the_table_has_no_two_rows_of_one_name() -> None:
    names = [row.name for row in (*ROWS, *STOPPED)]
    assert len(set(names)) == len(names)


@pytest.mark.skipif(WRITES_THE_TABLE, reason="the table is being written")
def test_the_page_has_the_table_as_it_is_tested() -> None:
    expected = {row.name: [row.expected(endpoint) for _, endpoint in table.COLUMNS] for row in (*ROWS, *STOPPED)}
    assert table.read() == expected
