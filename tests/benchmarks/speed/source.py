"""A model service that is never the bottleneck: it speaks chat completions, and does little for each token.

    python -m tests.benchmarks.speed.source --port 9000

It takes the questions of `tests.fake.behaviour`: `fake:tokens=N` is answered as fast as it can be read, and with
`&delay=SECONDS` a token at a time. With `&text=time` each token is the time at which it was written, in seconds of this
machine's monotonic clock. GET tells the processor time that it has used, in seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from functools import lru_cache

import uvloop

from tests.fake.behaviour import Behaviour, asked
from tests.fake.sayings import event

FIELDS = {
    "id": "chatcmpl-CkPq1LmN2oPqRsTuVwXyZ0123456", "object": "chat.completion.chunk", "created": 1795000000,
    "model": "gpt-4.1-mini-2025-04-14", "service_tier": "default", "system_fingerprint": "fp_0123456789",
}  # fmt: skip
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client, whose requests come one after the other."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._heard = b""
        self._timer: asyncio.TimerHandle | None = None
        self._is_last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, end, body = self._heard.partition(b"\r\n\r\n")
        if head.startswith(b"GET"):
            self._tell(str(time.process_time()).encode())
        elif end and len(body) >= _length(head):
            self._is_last = b"connection: close" in head.lower()
            self._answer(json.loads(body))

    def _answer(self, body: dict[str, object]) -> None:
        self._heard = b""
        behaviour = asked(body)
        if not body.get("stream"):
            seconds = behaviour.tokens * behaviour.delay
            self._timer = asyncio.get_running_loop().call_later(seconds, self._tell, _whole(behaviour))
        elif not behaviour.delay:
            self.transport.write(HEAD)
            for piece in _pieces(behaviour):
                self.transport.write(piece)
            self._end()
        else:
            self.transport.write(HEAD + _events(behaviour)[0])
            self._go_on(behaviour, 1, asyncio.get_running_loop().time())

    def _go_on(self, behaviour: Behaviour, number: int, due: float) -> None:
        events = _events(behaviour)
        if number > behaviour.tokens:
            self.transport.write(b"".join(events[number:]) + LAST)
            self._end()
            return
        stamp = behaviour.text == "time"
        self.transport.write(_chunk({"content": f"{time.monotonic():.6f} "}) if stamp else events[number])
        due += behaviour.delay
        self._timer = asyncio.get_running_loop().call_at(due, self._go_on, behaviour, number + 1, due)

    def _tell(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._heard = b""
        self.transport.write(head.encode() + body)
        self._end()

    def _end(self) -> None:
        if self._is_last:
            self.transport.close()


def _length(head: bytes) -> int:
    fields = (line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:])
    return next((int(value) for name, value in fields if name == b"content-length"), 0)


@lru_cache
def _events(behaviour: Behaviour) -> list[bytes]:
    """All of an answer's events: its head, its tokens, its end."""
    tokens = [_chunk({"content": f"w{index} "}) for index in range(behaviour.tokens)]
    usage = _framed(event({**FIELDS, "choices": [], "usage": _usage(behaviour)}))
    head = _chunk({"role": "assistant", "content": "", "refusal": None})
    return [head, *tokens, _chunk({}, "stop"), usage, _framed(b"data: [DONE]\n\n")]


def _chunk(delta: dict[str, object], finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _framed(event({**FIELDS, "choices": [choice], "usage": None}))


def _usage(behaviour: Behaviour) -> dict[str, int]:
    return {"prompt_tokens": 7, "completion_tokens": behaviour.tokens, "total_tokens": 7 + behaviour.tokens}


@lru_cache
def _pieces(behaviour: Behaviour) -> list[bytes]:
    """The same, in pieces that are worth a write."""
    whole = b"".join(_events(behaviour)) + LAST
    return [whole[start : start + 65536] for start in range(0, len(whole), 65536)]


@lru_cache
def _whole(behaviour: Behaviour) -> bytes:
    message = {"role": "assistant", "content": "".join(behaviour.pieces), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    answer = {**FIELDS, "object": "chat.completion", "choices": [choice], "usage": _usage(behaviour)}
    return json.dumps(answer).encode()


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def serve(port: int) -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=9000)
    uvloop.install()
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
