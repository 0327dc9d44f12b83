"""Clients that leave: the provider's connection is closed, and nothing is left behind.

How fast that is, `tests/benchmarks/hangups.py` measures; here it is long before a heartbeat under ASGI, and within one
under WSGI.

`WALDUR_CHAT_HANGUPS` says how many leave each server (default 40; the bar was measured with 200).
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections import Counter
from contextlib import ExitStack
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import pytest

from tests.acceptance.streams import eventually, open_files, open_stream, read_until, threads
from tests.processes import Running, host, stats

pytestmark = pytest.mark.core

HANGUPS = int(os.environ.get("WALDUR_CHAT_HANGUPS", "40"))
HEARTBEAT_SECONDS = 2.0
GRACE_SECONDS = {"uvicorn": 0.5, "gunicorn-gthread": HEARTBEAT_SECONDS, "runserver": HEARTBEAT_SECONDS + 0.5}
IDLE = 0 if find_spec("aiohttp") else 2
"""Connections that the server's own client may keep: httpx closes idle ones only when it is asked for another."""
LOOP = 4 + IDLE, 2
"""What the first who leaves before his turn begins starts: the background loop, with three descriptors and a thread,
and there the client of the provider, which is made in another thread and may keep a connection.
"""
SHOW_THEIR_CLIENT = ("uvicorn", "gunicorn-gthread")
SILENCES = {"before the headers": "head=60", "before the first token": "first=60", "between tokens": "delay=60"}
RESET = struct.pack("ii", 1, 0)


def _host(server: str, model: str, fake: Running, directory: Path) -> object:
    settings = {"HEARTBEAT_SECONDS": HEARTBEAT_SECONDS}
    return host(server, directory, model=model, provider=f"{fake.address}/v1", settings=settings)


@pytest.mark.parametrize("server", SHOW_THEIR_CLIENT)
def test_a_hangup_ends_a_whole_answer_too(server: str, fake: Running, tmp_path: Path) -> None:
    with _host(server, "delay=60", fake, tmp_path) as running:
        connection = open_stream(running, "application/json", "/api/chat/invoke/")
        assert eventually(lambda: stats(fake)["answering"] == 1)
        left, at = len(stats(fake)["left"]), time.time()
        connection.close()
        assert eventually(lambda: len(stats(fake)["left"]) > left)
        assert stats(fake)["left"][-1] - at < GRACE_SECONDS[server]


@pytest.mark.parametrize(
    ("server", "silence"),
    [*product(SHOW_THEIR_CLIENT, SILENCES), ("runserver", "between tokens")],
)
def test_a_hangup_while_the_provider_is_silent_closes_its_connection(
    server: str, silence: str, fake: Running, tmp_path: Path
) -> None:
    with _host(server, SILENCES[silence], fake, tmp_path) as running:
        connection = open_stream(running)
        assert eventually(lambda: stats(fake)["answering"] == 1)
        if silence == "between tokens":
            read_until(connection, b"w0")
        left, at = len(stats(fake)["left"]), time.time()
        connection.close()
        assert eventually(lambda: len(stats(fake)["left"]) > left)
        assert stats(fake)["left"][-1] - at < GRACE_SECONDS[server]


@pytest.mark.parametrize("server", SHOW_THEIR_CLIENT)
def test_random_hangups_leave_nothing_behind(server: str, fake: Running, tmp_path: Path) -> None:
    with _host(server, "tokens=200&delay=0.01&head=0.05", fake, tmp_path) as running:
        _warm_up(running, fake)
        before = open_files(running), threads(running)
        for _ in range(HANGUPS):
            _leave(running)
        assert eventually(lambda: stats(fake)["answering"] == 0)
        left = Counter[str](), 0

        def is_little() -> bool:
            nonlocal left
            left = open_files(running) - before[0], threads(running) - before[1]
            return left[0].total() <= LOOP[0] and left[1] <= LOOP[1]

        assert eventually(is_little), left
        assert b"Traceback" not in running.log.read_bytes()


def _warm_up(server: Running, fake: Running) -> None:
    """Let the server have all its threads at work once, so that it starts none later."""
    with ExitStack() as stack:
        connections = [stack.enter_context(open_stream(server)) for _ in range(16)]
        for connection in connections:
            read_until(connection, b"w2 ")
    assert eventually(lambda: stats(fake)["answering"] == 0)


def _leave(server: Running) -> None:
    """Ask, and leave at a random moment, with a FIN or a RST."""
    with open_stream(server) as connection:
        if random.random() < 0.3:
            time.sleep(random.random() * 0.1)
        else:
            read_until(connection, b"w%d " % random.randrange(20))
        if random.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
