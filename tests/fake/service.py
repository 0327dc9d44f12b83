"""The fake service's server: HTTP/1.1 by hand, so that every byte and every cut is ours.

    python -m tests.fake.service --port 9000

POST /v1/chat/completions (OpenAI), POST /langserve/stream (LangServe), GET /stats (what happened so far).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.fake.behaviour import Behaviour, parse


@dataclass
class Stats:
    """What the service saw. `left` are the times (time.time()) at which clients left in the middle of an answer."""

    opened: int = 0
    open: int = 0
    answering: int = 0
    answers: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)
    left: list[float] = field(default_factory=list)


class Service:
    """One server on one port."""

    def __init__(self) -> None:
        self.stats = Stats()

    async def listen(self, host: str, port: int = 0) -> asyncio.Server:
        """Begin to serve, by default on any free port."""
        return await asyncio.start_server(self._connection, host, port, backlog=4096)

    async def serve(self, host: str, port: int) -> None:
        """Serve until cancelled."""
        async with await self.listen(host, port) as server:
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
        self.stats.requests = [*self.stats.requests[-99:], {"target": target, "headers": headers, "body": body}]
        langserve = url.path.startswith("/langserve")
        behaviour = parse(url.query if langserve else str(body.get("model")))
        answer = asyncio.ensure_future(self._write(writer, behaviour, body, langserve))
        hang_up = asyncio.ensure_future(reader.read(1))
        self.stats.answering += 1
        try:
            await asyncio.wait([answer, hang_up], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.stats.left.append(time.time())
                raise ConnectionResetError
            self.stats.answers += 1
            answer.result()
        finally:
            self.stats.answering -= 1
            answer.cancel()
            hang_up.cancel()
            await asyncio.gather(hang_up, return_exceptions=True)

    async def _write(
        self, writer: asyncio.StreamWriter, behaviour: Behaviour, body: dict[str, Any], langserve: bool
    ) -> None:
        await asyncio.sleep(behaviour.head)
        if behaviour.usage == "refuse" and "stream_options" in body:
            await _plain(writer, 400, b'{"error": {"message": "unknown parameter: stream_options"}}')
        elif behaviour.status != 200:
            extra = f"Retry-After: {behaviour.retry_after}\r\n" if behaviour.retry_after else ""
            await _plain(writer, behaviour.status, b'{"error": {"message": "no", "code": "no"}}', extra)
        elif behaviour.html:
            await _plain(writer, 200, b"<html>A proxy's login page</html>")
        else:
            await _stream(writer, behaviour, langserve_events if langserve else openai_events)


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], dict[str, Any]] | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split(" ")[1], headers, json.loads(body or b"{}")


async def _plain(writer: asyncio.StreamWriter, status: int, body: bytes, extra: str = "") -> None:
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, behaviour: Behaviour, events: Any) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    await writer.drain()
    await asyncio.sleep(behaviour.first)
    async for event in events(behaviour):
        if event is None:
            writer.transport.abort()
            raise ConnectionResetError
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


async def openai_events(behaviour: Behaviour) -> AsyncIterator[bytes | None]:
    """The answer as chat.completion.chunk events; None resets the connection."""
    yield _chunk({"role": "assistant", "content": ""})
    if behaviour.reasoning:
        yield _chunk({behaviour.reasoning: "Let me think."})
    for index, piece in enumerate(behaviour.pieces):
        if index == behaviour.cut:
            yield None
        if index == behaviour.fault:
            yield _data({"error": {"message": "the GPU is on fire", "type": "server_error", "code": 500}})
        usage = {"usage": _usage(index + 1)} if behaviour.usage == "each" else {}
        yield _chunk({"content": piece}, **usage)
        await asyncio.sleep(behaviour.delay)
    if behaviour.end in ("both", "finish"):
        yield _chunk({}, finish_reason="stop")
    if behaviour.usage == "end":
        yield _data({"object": "chat.completion.chunk", "choices": [], "usage": _usage(len(behaviour.pieces))})
    if behaviour.end in ("both", "done"):
        yield b"data: [DONE]\n\n"


async def langserve_events(behaviour: Behaviour) -> AsyncIterator[bytes | None]:
    """The answer as LangServe sends it, with a ping among the events; None resets the connection."""
    yield b'event: metadata\r\ndata: {"run_id": "r1"}\r\n\r\n'
    for index, piece in enumerate(behaviour.pieces):
        if index == behaviour.cut:
            yield None
        if index == behaviour.fault:
            yield b'event: error\r\ndata: {"status_code": 500, "message": "Internal Server Error"}\r\n\r\n'
        yield _langserve({"content": piece, "additional_kwargs": {}, "type": "AIMessageChunk"})
        yield b": ping\r\n\r\n"
        await asyncio.sleep(behaviour.delay)
    usage = {"input_tokens": 7, "output_tokens": len(behaviour.pieces)}
    yield _langserve({"content": "", "additional_kwargs": {}, "usage_metadata": usage})
    if behaviour.end != "none":
        yield b"event: end\r\n\r\n"


def _chunk(delta: dict[str, str], finish_reason: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return _data({"id": "c1", "object": "chat.completion.chunk", "choices": [choice], **fields})


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}


def _data(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload, ensure_ascii=False).encode() + b"\n\n"


def _langserve(payload: dict[str, Any]) -> bytes:
    return b"event: data\r\ndata: " + json.dumps(payload).encode() + b"\r\n\r\n"


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=9000)
    options = parser.parse_args()
    asyncio.run(Service().serve(options.host, options.port))


if __name__ == "__main__":
    main()
