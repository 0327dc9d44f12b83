"""A client that asks once and comes back by event id until it has the end, whatever happens to its connections.

It holds the server to its word: ids are positions, so each piece must begin where the one before it ended.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.processes import TOKEN

ENDS = ("end", "error", "cancelled")
BUSY = (429, 502, 503, 504)
"""What a client asks again after: a proxy or a machine that cannot answer now."""

LONGEST_PAUSE = 1.0


@dataclass(kw_only=True)
class Answer:
    """What a reader has, how it ended, and when (time.monotonic()) he had how much of it."""

    turn: str = ""
    thread: str = ""
    text: str = ""
    end: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    connections: int = 0
    refused: list[str] = field(default_factory=list)
    events: int = 0

    @property
    def outcome(self) -> str:
        """The name of the last event, with the code of an error."""
        return f"{self.end} {self.detail.get('code', '')}".strip()


class Wire:
    """A response as it arrives: its head, then events. It is fed bytes."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._raw = b""
        self._body = b""
        self._due = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The events that are whole now."""
        self._raw += data
        if not self.status and b"\r\n\r\n" in self._raw:
            head, _, self._raw = self._raw.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            self.status = int(first.split(" ")[1])
            self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if self.status:
            self._unframe()
        *events, self._body = self._body.split(b"\n\n")
        return events

    def _unframe(self) -> None:
        """Move what has arrived of the chunks to the body."""
        if self.headers.get("transfer-encoding") != "chunked":
            self._due = len(self._raw)
        while self._raw:
            if not self._due:
                size, found, rest = self._raw.partition(b"\r\n")
                if not found:
                    return
                self._due, self._raw = int(size or b"0", 16), rest  # There is an empty line after each chunk.
            self._body += self._raw[: self._due]
            self._raw, self._due = self._raw[self._due :], max(0, self._due - len(self._raw))


class Reader:
    """One client. Each connection goes to the next of the ports that are given; `cuts` are the bytes after which he
    closes his first ones.

    With a turn he only comes to read it, else he asks. What he asks carries a key, so that it is one turn however often
    he has to ask.
    """

    def __init__(
        self,
        ports: Sequence[int],
        question: str = "",
        *,
        turn: str = "",
        token: str = TOKEN,
        thread: str = "",
        cuts: Sequence[int] = (),
        key: str = "",
    ) -> None:
        self.answer = Answer(turn=turn)
        self.heard = asyncio.Event()
        """There is some text."""
        self._ports = ports
        self._question = question
        self._token = token
        self._thread = thread
        self._cuts = list(cuts)
        self._key = key or uuid4().hex

    async def read(self) -> Answer:
        """Ask, and come back until there is an end."""
        pause = 0.05
        while not self.answer.end:
            before = self.answer.events
            try:
                await self._connect(self._cuts.pop(0) if self._cuts else 0)
            except OSError as error:
                self.answer.refused.append(type(error).__name__)
            if self.answer.events > before:
                pause = 0.05
            elif not self.answer.end:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LONGEST_PAUSE)
        return self.answer

    async def _connect(self, cut: int) -> None:
        """One connection, until it ends or, where there is a cut, after so many bytes."""
        port = self._ports[self.answer.connections % len(self._ports)]
        self.answer.connections += 1
        wire, left = Wire(), cut or 1 << 40
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(self._request())
            while left and not self.answer.end and (piece := await reader.read(min(left, 1 << 16))):
                left -= len(piece)
                events = wire.feed(piece)
                self._see_head(wire)
                for event in events if wire.status == 200 else ():
                    self._hear(event)
        finally:
            writer.transport.abort() if cut else writer.close()
        if wire.status in BUSY:
            self.answer.refused.append(str(wire.status))

    def _request(self) -> bytes:
        common = f"Host: localhost\r\nAuthorization: Token {self._token}\r\nAccept: text/event-stream\r\n"
        if self.answer.turn:
            path, position = f"/api/chat/turns/{self.answer.turn}/events/", len(self.answer.text)
            if random.random() < 0.5:
                return f"GET {path}?after={position} HTTP/1.1\r\n{common}\r\n".encode()
            return f"GET {path} HTTP/1.1\r\n{common}Last-Event-ID: {position}\r\n\r\n".encode()
        thread = {"thread_uuid": self._thread} if self._thread else {}
        body = json.dumps({"input": self._question, **thread})
        return (
            f"POST /api/chat/stream/ HTTP/1.1\r\n{common}Idempotency-Key: {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    def _see_head(self, wire: Wire) -> None:
        if wire.status == 200:
            self.answer.turn = wire.headers["x-chat-turn"]
            self.answer.thread = wire.headers["x-chat-thread"]
        elif wire.status and wire.status not in BUSY:
            raise AssertionError(f"status {wire.status} after {len(self.answer.text)} characters")

    def _hear(self, event: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in event.split(b"\n") if not line.startswith(b":"))
        if not fields:
            return  # A heartbeat.
        name, data = fields.get(b"event", b"").decode(), json.loads(fields[b"data"])
        assert not self.answer.end, "an event after the end"
        self.answer.events += 1
        if not name:
            self.answer.text += data["c"]
            self.answer.arrivals.append((time.monotonic(), len(self.answer.text)))
            self.heard.set()
        expected = b"end" if name in ENDS else b"%d" % len(self.answer.text)
        assert fields[b"id"] == expected, f"{fields[b'id']!r} where {expected!r} was due"
        if name in ENDS:
            self.answer.end, self.answer.detail = name, data


async def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True
