"""The fake service's server: HTTP/1.1 by hand, so that every byte and every cut is ours.

    python -m tests.fake.service --port 9000 [--certificate CERTIFICATE_AND_KEY.pem]

POST /v1/chat/completions (OpenAI), POST /langserve/stream (LangServe), GET /stats (what happened so far), GET /go
(let all answers that wait go on).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.fake.answers import Step, langserve_steps, openai_steps
from tests.fake.behaviour import Behaviour, asked, parse, returned
from tests.fake.refused import SCHEMAS, THOUGHTS, TOOLS, UNCLEAR, Refusal
from tests.fake.sayings import say

FOR_EVER = 3600.0


@dataclass
class Stats:
    """What the service saw. `left` are the times (time.time()) at which clients left in the middle of an answer.

    `asked` counts requests, of which the last are kept; `written` are the bytes of answers. `endings` counts OpenAI's
    requests by how they ended: answered, called (with calls of tools), failed, left; `reported` are the tokens of the
    first two.
    """

    opened: int = 0
    open: int = 0
    answering: int = 0
    answers: int = 0
    asked: int = 0
    written: int = 0
    endings: dict[str, int] = field(default_factory=dict)
    reported: dict[str, int] = field(default_factory=lambda: {"input": 0, "output": 0})
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)


class Service:
    """One server on one port."""

    def __init__(self) -> None:
        self.stats = Stats()
        self._go = asyncio.Event()

    async def listen(self, host: str, port: int = 0, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        """Begin to serve, by default on any free port."""
        return await asyncio.start_server(self._connection, host, port, backlog=4096, ssl=tls)

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Serve until cancelled."""
        async with await self.listen(host, port, tls) as server:
            await server.serve_forever()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stats.opened += 1
        self.stats.open += 1
        try:
            while request := await _request(reader):
                await self._answer(*request, reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.stats.open -= 1
            writer.close()

    async def _answer(
        self,
        target: str,
        headers: dict[str, str],
        body: dict[str, Any],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        url = urlsplit(target)
        if url.path == "/stats":
            await _plain(writer, 200, json.dumps(vars(self.stats)).encode())
            return
        if url.path == "/go":
            self._go.set()
            self._go = asyncio.Event()
            await _plain(writer, 200, b"{}")
            return
        self.stats.asked += 1
        self.stats.requests = [*self.stats.requests[-99:], {"target": target, "headers": headers, "body": body}]
        langserve = url.path.startswith("/langserve")
        behaviour = parse(url.query) if langserve else asked(body)
        answer = asyncio.ensure_future(self._write(writer, behaviour, body, langserve))
        hang_up = asyncio.ensure_future(reader.read(1))
        self.stats.answering += 1
        try:
            await asyncio.wait([answer, hang_up], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.stats.left.append(time.time())
                self._count("left")
                raise ConnectionResetError
            self.stats.answers += 1
            self._count_answer(behaviour, is_whole=answer.exception() is None)
            answer.result()
        finally:
            self.stats.answering -= 1
            answer.cancel()
            hang_up.cancel()
            await asyncio.gather(hang_up, return_exceptions=True)

    def _count_answer(self, behaviour: Behaviour, *, is_whole: bool) -> None:
        """Count an answer; one that could not be written was left, too."""
        ending = _ending(behaviour)
        if ending == "failed" or is_whole:
            self._count(ending)
        else:
            self._count("left")
        if ending != "failed" and is_whole and behaviour.usage == "end":
            self.stats.reported["input"] += 7
            self.stats.reported["output"] += 5 if behaviour.call else len(behaviour.pieces)

    def _count(self, ending: str) -> None:
        self.stats.endings[ending] = self.stats.endings.get(ending, 0) + 1

    async def _write(
        self, writer: asyncio.StreamWriter, behaviour: Behaviour, body: dict[str, Any], langserve: bool
    ) -> None:
        await asyncio.sleep(behaviour.head)
        pen = _Pen(writer, self.stats, self._go)
        if behaviour.at == -1 and behaviour.then:
            await pen.do(behaviour.then)
        if behaviour.usage == "refuse" and "stream_options" in body:
            await _plain(writer, 400, b'{"error": {"message": "unknown parameter: stream_options"}}')
        elif refusal := _refusal(behaviour, body):
            await _refuse(writer, refusal)
        elif behaviour.status != 200 or behaviour.body or behaviour.html:
            await _instead(pen, behaviour)
        else:
            await _stream(pen, behaviour, (langserve_steps if langserve else openai_steps)(behaviour))


def _refusal(behaviour: Behaviour, body: dict[str, Any]) -> Refusal | None:
    """What a service says that does not take this request; None for one that takes it."""
    if behaviour.tools == "return":
        return None if returned(body, behaviour.reasoning) else THOUGHTS
    if behaviour.tools and "tools" in body:
        return TOOLS.get(behaviour.tools, UNCLEAR)
    return SCHEMAS.get(behaviour.schema) if "response_format" in body else None


def _ending(behaviour: Behaviour) -> str:
    """How an answer ends whose reader stays."""
    if behaviour.status != 200 or behaviour.body or behaviour.html or behaviour.fault >= 0 or behaviour.cut >= 0:
        return "failed"
    return "called" if behaviour.call else "answered"


class _Pen:
    """Writes, or does to the connection what no writer should."""

    def __init__(self, writer: asyncio.StreamWriter, stats: Stats, go: asyncio.Event) -> None:
        self._writer = writer
        self._stats = stats
        self._go = go
        self._drips = False

    async def write(self, data: bytes) -> None:
        """Write at once, or one byte a second."""
        for piece in [data[index : index + 1] for index in range(len(data))] if self._drips else [data]:
            self._writer.write(piece)
            self._stats.written += len(piece)
            await self._writer.drain()
            await asyncio.sleep(1.0 if self._drips else 0.0)  # Draining alone lets nobody else run.

    async def do(self, what: str) -> None:
        """See `Behaviour.then`."""
        match what:
            case "drip":
                self._drips = True
            case "stall":
                await asyncio.sleep(FOR_EVER)
            case "wait":
                await self._go.wait()
            case "end":
                await self.write(b"0\r\n\r\n")
                raise ConnectionResetError
            case "close":
                raise ConnectionResetError
            case "reset":
                self._writer.transport.abort()
                raise ConnectionResetError


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], dict[str, Any]] | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split(" ")[1], headers, json.loads(body or b"{}")


async def _plain(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _refuse(writer: asyncio.StreamWriter, refusal: Refusal) -> None:
    status, body = refusal
    await _plain(writer, status, json.dumps(body).encode())


async def _instead(pen: _Pen, behaviour: Behaviour) -> None:
    """Something that is no stream of events."""
    body = behaviour.body or ("html" if behaviour.html else "refusal")
    bare = behaviour.status == 204
    headers = [] if bare else ["Transfer-Encoding: chunked"]
    if behaviour.retry_after:
        headers.append(f"Retry-After: {behaviour.retry_after}")
    if behaviour.location:
        headers.append(f"Location: {behaviour.location}")
    await pen.write(_head(behaviour, "text/html" if body == "html" else "application/json", *headers))
    if not bare:
        for piece in say(body):
            await pen.write(_framed(piece))
        await pen.write(b"0\r\n\r\n")


async def _stream(pen: _Pen, behaviour: Behaviour, steps: Iterator[Step]) -> None:
    await pen.write(_head(behaviour, "text/event-stream", "Transfer-Encoding: chunked"))
    await asyncio.sleep(behaviour.first)
    for step in steps:
        match step:
            case bytes():
                await pen.write(_framed(step))
            case float():
                await asyncio.sleep(step)
            case str():
                await pen.do(step)
    await pen.write(b"0\r\n\r\n")


def _head(behaviour: Behaviour, content_type: str, *headers: str) -> bytes:
    encoding = [f"Content-Encoding: {behaviour.encoding}"] if behaviour.encoding else []
    lines = [f"HTTP/1.1 {behaviour.status} X", f"Content-Type: {content_type}", *encoding, *headers, "", ""]
    return "\r\n".join(lines).encode()


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    parser.add_argument("--certificate", help="a file that holds a certificate and its key: speak TLS")
    options = parser.parse_args()
    tls = None
    if options.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(options.certificate)
    asyncio.run(Service().serve(options.host, options.port, tls))


if __name__ == "__main__":
    main()
