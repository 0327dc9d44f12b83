"""A server that is told to stop lets running answers finish, and ends those that do not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.acceptance.needs import module
from tests.acceptance.streams import open_stream, read_until
from tests.processes import Running, host, stats

pytestmark = pytest.mark.core

SERVERS = {
    "uvicorn": (),
    "gunicorn-sync": (),
    "gunicorn-gthread": ("--preload",),
    "gunicorn-asgi": (),
}


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("model", "grace", "last"),
    [
        ("tokens=10&delay=0.2", 10, b"event: end"),
        ("tokens=2&delay=60", 1, b"event: error"),
    ],
)
def test_running_answers_have_their_time(
    server: str, model: str, grace: int, last: bytes, fake: Running, tmp_path: Path
) -> None:
    settings = {"SHUTDOWN_SECONDS": grace}
    if server == "gunicorn-asgi":
        module("gunicorn.workers.gasgi")  # gunicorn 24 and newer.
    with host(
        server, tmp_path, model=model, provider=f"{fake.address}/v1", settings=settings, arguments=SERVERS[server]
    ) as running:
        with open_stream(running) as connection:
            begun = read_until(connection, b"w0 ")
            running.process.send_signal(signal.SIGTERM)
            events = (begun + read_until(connection, b"never")).split(b"\n\n")
        whole = events[-2] if not events[-1].strip(b"0\r\n") else events[-1]
        assert last in whole
        assert (b'"code":"server_stopping"' in whole) == (last == b"event: error")
        assert running.process.wait(10) in (0, -signal.SIGTERM)
        assert "Traceback" not in running.log.read_text()
    assert stats(fake)["answering"] == 0
