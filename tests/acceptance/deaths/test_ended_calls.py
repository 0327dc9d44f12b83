"""A turn that ends while a tool runs: stopped, left, by a server that stops, by the time limit; and who comes to it."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest

from tests.acceptance.databases import HOST, new_user, opened
from tests.acceptance.deaths.tools import HELD, written
from tests.acceptance.streams import eventually, header, open_stream, read_until
from tests.acceptance.threads import cancel
from tests.processes import Running, host, hosts
from waldur_chat.models import ToolCall, Turn
from waldur_chat.store.turns.tool_calls import STILL_RUNNING, WRITTEN

pytestmark = pytest.mark.slow

SERVERS = ("uvicorn", "gunicorn-gthread")


@pytest.fixture(scope="module")
def options(fake: Running, postgresql_address: str, django_db_blocker: Any) -> Iterator[dict[str, Any]]:
    """What hosts are started with, whose turns end with their readers."""
    settings = {"STORAGE": True, "TOOLS": HELD, "TITLES": False, "FINISH_SECONDS": 0, "HEARTBEAT_SECONDS": 1.0}
    with django_db_blocker.unblock(), opened(postgresql_address):
        yield {"database": postgresql_address, "provider": f"{fake.address}/v1", "settings": settings}


@pytest.fixture(scope="module")
def both(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """A host on each server."""
    with hosts(SERVERS, tmp_path_factory.mktemp("ended"), **options) as running:
        yield dict(zip(SERVERS, running, strict=True))


@dataclass(kw_only=True)
class Held:
    """A call that runs until it is let go, and the connection of its reader."""

    user: Any
    name: str
    file: Path
    connection: socket.socket
    begun: bytes

    @property
    def row(self) -> ToolCall:
        return ToolCall.objects.using(HOST).get(user=self.user)

    def let_go(self) -> None:
        """Let it end, and wait until it has."""
        self.file.touch()
        assert eventually(Path(f"{self.file}.ended").exists)

    def is_left(self, *, is_whole: bool) -> bool:
        """Whether everything is as it should be after the late end of a call that was given up."""
        if is_whole:
            time.sleep(0.3)  # For a commit that must not come.
            return written(self.name) == []
        return eventually(lambda: written(self.name) == ["1", "2"] and self.row.is_touched)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Closes connections."""
    with ExitStack() as stack:
        yield stack


def call(stack: ExitStack, server: Running, tool: str, directory: Path) -> Held:
    """Let the model call the tool, and wait until the call runs."""
    user, name, file = new_user(), uuid4().hex, directory / uuid4().hex
    arguments = json.dumps({"name": name, "file": str(file)})
    question = f"fake:{urlencode({'call': tool, 'arguments': arguments})}"
    connection = stack.enter_context(open_stream(server, token=user.auth_token.key, input=question))
    begun = read_until(connection, b"event: tool_call")
    held = Held(user=user, name=name, file=file, connection=connection, begun=begun)
    assert eventually(lambda: held.row.status == "running")
    return held


def rejoin(server: Running, held: Held) -> socket.socket:
    """A connection on which the whole answer is asked for."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    path, token = f"/api/chat/turns/{header(held.begun, 'x-chat-turn')}/events/", held.user.auth_token.key
    head = (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\nAccept: text/event-stream\r\n\r\n"
    )
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize("tool", ["slow", "atomic_slow"])
@pytest.mark.parametrize("server", SERVERS)
class TestGivenUp:
    """Nobody waits for the call any more."""

    def test_stopped(self, both: dict[str, Running], server: str, tool: str, tmp_path: Path, stack: ExitStack) -> None:
        held = call(stack, both[server], tool, tmp_path)
        cancel(both[server], header(held.begun, "x-chat-thread"), held.user)
        assert b'"outcome":"unknown"' in read_until(held.connection, b"event: cancelled")
        assert (held.row.status, held.row.summary) == ("unknown", STILL_RUNNING if tool == "atomic_slow" else WRITTEN)
        held.let_go()
        assert held.is_left(is_whole=tool == "atomic_slow")

    def test_left(self, both: dict[str, Running], server: str, tool: str, tmp_path: Path, stack: ExitStack) -> None:
        held = call(stack, both[server], tool, tmp_path)
        held.connection.close()
        assert eventually(lambda: held.row.status == "unknown")
        assert Turn.objects.using(HOST).get(user=held.user).status == "cancelled"
        held.let_go()
        assert held.is_left(is_whole=tool == "atomic_slow")

    def test_past_its_time_limit(
        self, both: dict[str, Running], server: str, tool: str, tmp_path: Path, stack: ExitStack
    ) -> None:
        held = call(stack, both[server], tool.replace("slow", "limited"), tmp_path)
        body = read_until(held.connection, b"event: end")
        assert b'"outcome":"failed"' in body
        assert held.row.status == "failed"
        held.let_go()
        assert held.is_left(is_whole=tool == "atomic_slow")
        assert eventually(lambda: held.row.status == ("failed" if tool == "atomic_slow" else "unknown"))


@pytest.mark.parametrize("server", SERVERS)
def test_readers_in_every_process_get_a_call_that_runs_and_its_result(
    both: dict[str, Running], server: str, tmp_path: Path, stack: ExitStack
) -> None:
    held = call(stack, both[server], "slow", tmp_path)
    others = [stack.enter_context(rejoin(one, held)) for one in both.values()]
    for other in others:
        assert b'"tool":"slow"' in read_until(other, b'"tool":"slow"')
    held.let_go()
    for one in (held.connection, *others):
        body = read_until(one, b"event: end")
        assert b"event: tool_result" in body
        assert b'"outcome":"done"' in body


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("has_time", [True, False])
def test_a_server_that_stops_gives_a_call_its_time(
    options: dict[str, Any], both: dict[str, Running], server: str, has_time: bool, tmp_path: Path, stack: ExitStack
) -> None:
    own = {**options, "settings": {**options["settings"], "SHUTDOWN_SECONDS": 10 if has_time else 1}}
    with host(server, tmp_path, is_set_up=True, **own) as running:
        held = call(stack, running, "slow", tmp_path)
        running.process.send_signal(signal.SIGTERM)
        if has_time:
            held.let_go()
        body = held.begun + read_until(held.connection, b"never")
        assert (b"event: end" if has_time else b'"code":"server_stopping"') in body
        assert running.process.wait(15) in (0, -signal.SIGTERM)
        assert "Traceback" not in running.log.read_text()
    expected = ("done", ["1", "2"]) if has_time else ("unknown", ["1"])
    assert (held.row.status, written(held.name)) == expected
