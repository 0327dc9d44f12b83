"""Health and readiness of real servers: the database falls silent or goes away, and the server is told to stop."""

from __future__ import annotations

import json
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.acceptance.faults.relay import Relay
from tests.acceptance.needs import module
from tests.acceptance.streams import eventually, open_stream, read_until
from tests.processes import TOKEN, Running, host

pytestmark = pytest.mark.slow

HEALTH, READY = "/api/chat/health/", "/api/chat/ready/"
NOT_SERVED = 0


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What a load balancer gets: a status, `NOT_SERVED` if there is no answer within a second and a half."""

    status: int
    seconds: float
    checks: dict[str, str]


def probe(server: Running, path: str = READY, head: str = "") -> Probed:
    """Ask over a new connection."""
    began = time.monotonic()
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1.5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n{head}\r\n".encode())
            while piece := connection.recv(65536):
                received += piece
    except OSError:
        received = b""
    start, _, body = received.partition(b"\r\n\r\n")
    status = int(start.split(b" ")[1]) if start else NOT_SERVED
    checks = json.loads(body).get("checks", {}) if body else {}
    return Probed(status=status, seconds=time.monotonic() - began, checks=checks)


def seconds_until(server: Running, status: int) -> float:
    """How long it takes until readiness has this status."""
    began = time.monotonic()
    assert eventually(lambda: probe(server).status == status)
    return time.monotonic() - began


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"])
def test_a_database_that_is_lost_is_told_within_two_seconds(
    server: str, tmp_path: Path, postgresql_address: str, postgresql: object
) -> None:
    address = urlsplit(postgresql_address)
    relay = Relay(str(address.hostname), address.port or 5432)
    database = address._replace(netloc=f"{address.netloc.rpartition('@')[0]}@127.0.0.1:{relay.port}").geturl()
    with host(server, tmp_path, database=database) as running:
        seconds_until(running, 200)
        for lose, find in ((relay.mute, relay.unmute), (relay.cut, relay.mend)):
            lose()
            assert seconds_until(running, 503) < 2
            anonymous, known = probe(running), probe(running, head=f"Authorization: Token {TOKEN}\r\n")
            assert (anonymous.checks["database"], known.checks["database"]) == ("down", "down")
            assert max(anonymous.seconds, known.seconds) < 1.5
            alive = probe(running, HEALTH)
            assert (alive.status, alive.seconds < 0.5) == (200, True)
            find()
            assert seconds_until(running, 200) < 5
        assert "Traceback" not in running.log.read_text()
    relay.cut()


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn-sync", "gunicorn-gthread", "gunicorn-asgi"])
def test_a_server_that_stops_is_not_ready_within_two_seconds(server: str, fake: Running, tmp_path: Path) -> None:
    if server == "gunicorn-asgi":
        module("gunicorn.workers.gasgi")  # gunicorn 24 and newer.
    workers = () if server == "uvicorn" else ("--preload", "--workers", "2")
    with host(
        server, tmp_path, model="tokens=15&delay=0.3", provider=f"{fake.address}/v1", arguments=workers
    ) as running:
        seconds_until(running, 200)
        with open_stream(running) as connection:
            begun = read_until(connection, b"w0 ")
            running.process.send_signal(signal.SIGTERM)
            told_at = time.monotonic()
            last_ready = 0.0
            while time.monotonic() - told_at < 3:
                if probe(running).status == 200:
                    last_ready = time.monotonic() - told_at
            assert last_ready < 2
            assert b"event: end" not in begun
            assert b"event: end" in read_until(connection, b"never")
