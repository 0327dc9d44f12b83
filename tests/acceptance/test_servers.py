"""Every server streams piece by piece, and answers whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.streams import open_stream, read_until
from tests.processes import SERVERS, Running, host, stats

pytestmark = pytest.mark.core

PACED = "tokens=5&delay=0.2"
END_OF_BODY = b"0\r\n\r\n"


@pytest.fixture(scope="module", params=SERVERS)
def server(
    request: pytest.FixtureRequest, fake: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The host project on each server."""
    directory = tmp_path_factory.mktemp("host")
    with host(request.param, directory, model=PACED, provider=f"{fake.address}/v1") as running:
        yield running


@pytest.mark.parametrize("accept", ["text/event-stream", "application/x-ndjson", "text/plain"])
def test_the_first_piece_arrives_before_the_last_is_produced(server: Running, fake: Running, accept: str) -> None:
    with open_stream(server, accept) as connection:
        read_until(connection, b"w0")
        assert stats(fake)["answering"] == 1, "the provider still writes"
        assert b"w4" in read_until(connection, END_OF_BODY)


def test_a_whole_answer_arrives(server: Running) -> None:
    with open_stream(server, "application/json", "/api/chat/invoke/") as connection:
        assert b'"w0 w1 w2 w3 w4 "' in read_until(connection, b'w4 "')


def test_streams_may_not_be_cached_compressed_or_held_back(server: Running) -> None:
    with open_stream(server) as connection:
        head = read_until(connection, END_OF_BODY).lower()
    assert b"cache-control: no-cache, no-transform\r\n" in head
    assert b"content-encoding: identity\r\n" in head
    assert b"x-accel-buffering: no\r\n" in head


def test_the_servers_have_nothing_to_complain_of(server: Running) -> None:
    assert b"Traceback" not in server.log.read_bytes()
