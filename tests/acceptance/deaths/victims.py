"""Processes with one worker that is killed and forked again, calls that they run, and what is left of these."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from tests.acceptance.databases import HOST, new_user
from tests.acceptance.deaths.steps import HEADER
from tests.acceptance.deaths.tools import row_of, written
from tests.acceptance.streams import eventually, family
from tests.processes import Running, host
from waldur_chat.models import ToolCall
from waldur_chat.store.turns.tool_calls import NOT_WRITTEN, WRITTEN

ARGUMENTS = ["--preload", "--workers", "1", "--config", "python:tests.acceptance.deaths.warm"]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A tool, and whether Django or `ATOMIC` opens a transaction around it."""

    tool: str
    is_whole: bool
    requests: bool = False
    arguments: str = ""

    def __str__(self) -> str:
        return f"{self.tool}{' in ATOMIC_REQUESTS' if self.requests else ''}{self.arguments and ' refusing'}"


REFUSES = '{"status": 409}'
KINDS = (
    Kind(tool="function", is_whole=False),
    Kind(tool="atomic_function", is_whole=True),
    Kind(tool="view", is_whole=False),
    Kind(tool="atomic_view", is_whole=True),
    Kind(tool="view", is_whole=True, requests=True),
    Kind(tool="view", is_whole=False, arguments=REFUSES),
    Kind(tool="view", is_whole=True, requests=True, arguments=REFUSES),
)


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A call that waits, of a user of its own; `name` begins the rows that it writes."""

    kind: Kind
    name: str
    call: ToolCall
    token: str

    def approve(self, server: Running, die_at: int = 0) -> str:
        """`died`, or the status of the response. A process that hangs instead is an error."""
        headers = {"Authorization": f"Token {self.token}", HEADER: str(die_at)}
        try:
            path = f"{server.address}/api/chat-tool-calls/{self.call.uuid.hex}/approve/"
            return str(httpx.post(path, headers=headers, timeout=60).status_code)
        except (httpx.NetworkError, httpx.RemoteProtocolError):
            return "died"

    def verdict(self) -> str:
        """Status and number of rows of a call that has ended, or of one that waits; asserts what must be."""
        row, rows = row_of(self.call), written(self.name)
        found = f"{row.status} {len(rows)}"
        assert len(set(rows)) == len(rows) <= 2, f"{found}: more than one effect"
        assert not (self.kind.is_whole and len(rows) == 1), f"{found}: half of a transaction"
        if row.status in ("waiting", "expired"):
            assert not rows, found
        elif row.status == "unknown":
            assert (row.summary, row.is_touched) == ((WRITTEN, True) if rows else (NOT_WRITTEN, False)), found
            assert not (self.kind.is_whole and not self.kind.arguments and rows), found
        else:
            assert row.status == ("failed" if self.kind.arguments else "done"), found
            assert len(rows) == 2, found
        return found


def propose(server: Running, kind: Kind, pause: float = 0.0) -> Proposed:
    """Let the model call the tool, for a new user."""
    user, name = new_user(), uuid4().hex
    arguments = {"name": name, "pause": pause, **json.loads(kind.arguments or "{}")}
    question = f"fake:{urlencode({'call': kind.tool, 'arguments': json.dumps(arguments)})}"
    token = {"Authorization": f"Token {user.auth_token.key}"}
    httpx.post(f"{server.address}/api/chat/stream/", json={"input": question}, headers=token, timeout=60)
    call = ToolCall.objects.using(HOST).select_related("user__auth_token").get(user=user, status="waiting")
    return Proposed(kind=kind, name=name, call=call, token=user.auth_token.key)


@contextmanager
def victim(directory: Path, *, atomic_requests: bool, **options: Any) -> Iterator[Running]:
    """A host with one worker, which is forked again when it was killed."""
    environment = {"WALDUR_CHAT_ATOMIC": "1" if atomic_requests else "0"}
    log = directory / f"victim-{atomic_requests}.log"
    with host(
        "gunicorn-gthread", directory, log=log, is_set_up=True, arguments=ARGUMENTS,
        environment={"DJANGO_SETTINGS_MODULE": "tests.acceptance.deaths.settings", **environment}, **options,
    ) as running:  # fmt: skip
        yield running


def kill(server: Running) -> None:
    """Kill its worker."""
    for process in family(server.process.pid)[1:]:
        os.kill(process, signal.SIGKILL)


def verdicts(proposed: list[Proposed]) -> Counter[tuple[str, str]]:
    """What became of the calls, by kind, once somebody has ended the turns of the dead."""
    calls = ToolCall.objects.using(HOST).filter(pk__in=[one.call.pk for one in proposed])
    assert eventually(lambda: not calls.filter(status__in=("approved", "running")).exists(), 60)
    return Counter((str(one.kind), one.verdict()) for one in proposed)
