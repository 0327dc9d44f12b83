"""Streams that wait cost no threads under ASGI, and do not wait for each other."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.acceptance.streams import eventually, open_stream, read_until, threads
from tests.processes import Running, host, stats
from waldur_chat.asgi.thread_pool import MAX_IDLE

COUNT = 150
MANY = 2000


@pytest.mark.parametrize(("model", "first"), [("head=60", b""), ("tokens=2&delay=60", b"w0")])
def test_waiting_streams_cost_no_threads(model: str, first: bytes, fake: Running, tmp_path: Path) -> None:
    with host("uvicorn", tmp_path, model=model, provider=f"{fake.address}/v1") as running, ExitStack() as stack:
        connections = [stack.enter_context(open_stream(running)) for _ in range(COUNT)]
        for connection in connections if first else ():
            read_until(connection, first)
        assert eventually(lambda: stats(fake)["answering"] == COUNT)
        assert eventually(lambda: threads(running) < 20 + MAX_IDLE)
        stack.close()
        assert eventually(lambda: stats(fake)["answering"] == 0)


def test_two_thousand_have_fewer_than_eighty_threads(fake: Running, tmp_path: Path) -> None:
    settings = {"TURNS_PER_PROCESS": None, "FIRST_EVENT_SECONDS": 200, "TURN_SECONDS": 200, "STORAGE": False}
    provider = f"{fake.address}/v1"
    with (
        host("uvicorn", tmp_path, model="head=170", provider=provider, settings=settings) as running,
        ExitStack() as stack,
    ):
        for _ in range(MANY):
            stack.enter_context(open_stream(running))
        assert eventually(lambda: stats(fake)["answering"] == MANY, seconds=100)
        assert eventually(lambda: threads(running) < 80)
