"""The ASGI servers beside uvicorn: they stream, and let an answer end when its reader leaves."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.acceptance import needs
from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import Running, host, stats

SECONDS = 0.5
"""How soon a reader who has left must be noticed."""


@pytest.fixture(params=["daphne", "granian", "hypercorn"], scope="module")
def server(
    request: pytest.FixtureRequest, fake: Running, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The host project on each of them; in the end it has nothing to complain of."""
    needs.module(request.param)
    directory = tmp_path_factory.mktemp(request.param)
    with host(request.param, directory, provider=f"{fake.address}/v1", settings={"STORAGE": False}) as running:
        yield running
        assert b"Traceback" not in running.log.read_bytes()


def test_an_answer_arrives_to_its_end(server: Running) -> None:
    with open_stream(server, input="fake:tokens=3") as connection:
        read_until(connection, b"event: end")


@pytest.mark.parametrize(
    ("operation", "question", "first"),
    [
        ("stream", "fake:first=60", b""),
        ("stream", "fake:tokens=3&delay=60", b"w0 "),
        ("invoke", "fake:delay=60", b""),
    ],
)
def test_who_leaves_is_noticed(server: Running, fake: Running, operation: str, question: str, first: bytes) -> None:
    with open_stream(server, "*/*", f"/api/chat/{operation}/", input=question) as connection:
        assert eventually(lambda: stats(fake)["answering"] == 1)
        if first:
            read_until(connection, first)
        left, at = len(stats(fake)["left"]), time.time()
    assert eventually(lambda: len(stats(fake)["left"]) > left)
    assert stats(fake)["left"][-1] - at < SECONDS
