"""Answers with three calls, whose readers are cut off at random bytes and come back to another process."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from tests.acceptance.databases import HOST, new_user
from tests.acceptance.deaths.tools import HELD
from tests.processes import Running, hosts
from waldur_chat.models import Message

pytestmark = pytest.mark.slow

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
READERS, MOST_CUTS = 20, 5
QUESTIONS = [
    "fake:" + urlencode({"call": call, "rounds": rounds, "intro": 5, "delay": 0.02, "tokens": 20})
    for call, rounds in (("quick", 3), ("quick,quick,quick", 1))
]


KEYS = ("call_uuid", "tool", "outcome", "summary")


@pytest.fixture(scope="module")
def both(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Two hosts on one database, whose answers are written to their end."""
    settings = {"STORAGE": True, "TOOLS": HELD, "TITLES": False, "FINISH_SECONDS": None}
    options = {"database": database, "provider": f"{fake.address}/v1", "settings": settings}
    with hosts(["uvicorn", "gunicorn-gthread"], tmp_path_factory.mktemp("cut"), **options) as running:
        yield running


@dataclass(kw_only=True)
class Heard:
    """What a reader has: texts and calls, each once, in the order of their arrival, and results."""

    accept: str
    turn: str = ""
    parts: list[Any] = field(default_factory=list)
    calls: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    is_over: bool = False
    connections: int = 0

    @property
    def text(self) -> str:
        return "".join(part for part in self.parts if isinstance(part, str))

    def hear(self, event: bytes) -> None:
        """Take one event, or one line, which is whole."""
        if self.accept == SSE:
            lines = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
            name, data = lines.get(b"event", b"").decode(), json.loads(lines.get(b"data", b"{}"))
        else:
            data = json.loads(event)
            name = data.pop("k", "")
        if name in ("tool_call", "tool_result"):
            kept = {key: data[key] for key in ("call_uuid", "tool", "arguments", "outcome", "summary") if key in data}
            self._hear_call(name, kept)
        elif "c" in data:
            is_more = bool(self.parts) and isinstance(self.parts[-1], str)
            self.parts[-1:] = [self.parts[-1] + data["c"]] if is_more else [*self.parts[-1:], data["c"]]
        self.is_over = self.is_over or name == "end" or "finish_reason" in data.get("m", {})

    def _hear_call(self, name: str, fields: dict[str, Any]) -> None:
        """Note what is new. Results belong to their calls, wherever in the text they arrive."""
        known = self.results if name == "tool_result" else self.calls
        before = known.setdefault(fields["call_uuid"], fields)
        assert before == fields
        if name == "tool_call" and fields not in self.parts:
            self.parts.append(fields)


def read(ports: list[Running], question: str, user: Any, accept: str, cuts: list[int]) -> Heard:
    """Ask one of them, and come back to the others until there is an end."""
    heard, headers = Heard(accept=accept), {"Authorization": f"Token {user.auth_token.key}", "Accept": accept}
    with httpx.Client(headers=headers, timeout=60) as client:
        while not heard.is_over:
            server = ports[heard.connections % len(ports)]
            heard.connections += 1
            after = f"/api/chat/turns/{heard.turn}/events/?after={len(heard.text)}"
            asked: dict[str, Any] = {"json": {"input": question}} if not heard.turn else {}
            path = after if heard.turn else "/api/chat/stream/"
            request = client.build_request("GET" if heard.turn else "POST", f"{server.address}{path}", **asked)
            _read_once(client.send(request, stream=True), heard, cuts.pop(0) if cuts else 1 << 30)
    return heard


def _read_once(response: httpx.Response, heard: Heard, left: int) -> None:
    assert response.status_code == 200, response.status_code
    heard.turn = response.headers["X-Chat-Turn"]
    body, end = b"", b"\n\n" if heard.accept == SSE else b"\n"
    for piece in response.iter_raw():
        body += piece[:left]
        left -= len(piece)
        *events, body = body.split(end)
        for event in events:
            if event.strip() and not event.startswith(b":"):
                heard.hear(event)
        if left <= 0:
            break
    else:
        heard.is_over = True
    response.close()


@pytest.mark.parametrize("accept", [SSE, NDJSON])
@pytest.mark.parametrize("question", QUESTIONS, ids=["three-rounds", "one-round"])
def test_who_was_cut_off_has_each_word_and_each_call_once(both: list[Running], question: str, accept: str) -> None:
    seed = int(os.environ.get("WALDUR_CHAT_SEED", random.SystemRandom().randrange(10**6)))
    chance = random.Random(seed)
    print("seed", seed)
    users = [new_user() for _ in range(READERS)]
    cuts = [[chance.randrange(1, 900) for _ in range(chance.randint(1, MOST_CUTS))] for _ in users]

    def one(number: int) -> Heard:
        return read(both[:: 1 if number % 2 else -1], question, users[number], accept, cuts[number])

    with ThreadPoolExecutor(READERS // 2) as pool:
        answers = list(pool.map(one, range(READERS)))
    assert sum(answer.connections for answer in answers) > 2 * READERS
    for user, answer in zip(users, answers, strict=True):
        stored = Message.objects.using(HOST).get(thread__session__user=user, role="assistant")
        assert answer.text == stored.text
        assert _blocks(answer) == [
            block["content"] if block["key"] == "markdown"
            else (block["tool"]["call_uuid"], block["tool"]["name"], block["tool"]["outcome"], block["tool"]["summary"])
            for block in stored.blocks
        ]  # fmt: skip
        whole = _again(both, user, answer)
        assert (whole.parts, whole.results) == (answer.parts, answer.results)


def _again(both: list[Running], user: Any, answer: Heard) -> Heard:
    """The same answer as somebody has it who was never cut off."""
    heard, headers = Heard(accept=answer.accept), {"Authorization": f"Token {user.auth_token.key}"}
    path = f"{both[0].address}/api/chat/turns/{answer.turn}/events/"
    with httpx.Client(headers={**headers, "Accept": answer.accept}, timeout=60) as client:
        _read_once(client.send(client.build_request("GET", path), stream=True), heard, 1 << 30)
    return heard


def _blocks(answer: Heard) -> list[Any]:
    """Its texts and calls as the stored blocks have them, a call where it began."""
    found = answer.results
    return [
        part if isinstance(part, str) else tuple(found[part["call_uuid"]][key] for key in KEYS) for part in answer.parts
    ]
