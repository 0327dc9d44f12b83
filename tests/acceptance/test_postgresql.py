"""On PostgreSQL: no stream holds a connection of the database, and processes share their limits."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import Running, fake_service, host, stats


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
@pytest.mark.parametrize("silence", ["head=60", "tokens=2&delay=60"])
def test_a_stream_holds_no_connection(
    server: str, silence: str, postgresql: Any, postgresql_address: str, tmp_path: Path
) -> None:
    name = urlsplit(postgresql_address).path.lstrip("/")
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    with (
        fake_service(tmp_path) as fake,
        host(server, tmp_path, model=silence, provider=f"{fake.address}/v1", database=postgresql_address) as running,
        open_stream(running),
    ):
        assert eventually(lambda: stats(fake)["answering"] >= 1)  # A title is asked for, too.
        assert eventually(lambda: postgresql.execute(count, [name]).fetchone() == (0,), seconds=2)


def _asked(server: Running) -> bytes:
    with open_stream(server) as connection:
        return _status(connection)


def _status(connection: socket.socket) -> bytes:
    return read_until(connection, b"\r\n").split(b" ")[1]


@pytest.mark.parametrize(("limit", "status"), [("TURNS_PER_SITE", b"503"), ("TURNS_PER_USER", b"429")])
def test_processes_share_their_limits_and_survive_each_other(
    limit: str, status: bytes, postgresql_address: str, tmp_path: Path
) -> None:
    settings = {limit: 3, "QUEUE_LENGTH": 0, "TURN_SECONDS": 12, "SHUTDOWN_SECONDS": 1}
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    with fake_service(tmp_path) as fake, ExitStack() as stack:
        site = {"model": "tokens=2&delay=60", "provider": f"{fake.address}/v1", "settings": settings}
        hosts = [
            stack.enter_context(host("uvicorn", path, database=postgresql_address, **site)) for path in (one, other)
        ]
        connections = [stack.enter_context(open_stream(hosts[number % 2])) for number in range(8)]
        assert sorted(_status(connection) for connection in connections) == sorted([b"200"] * 3 + [status] * 5)
        for killed in hosts:
            killed.process.kill()
        with host("uvicorn", one, database=postgresql_address, **{**site, "model": "tokens=1"}) as running:
            assert eventually(lambda: _asked(running) == b"200", seconds=40)
