"""A chat API without sockets, for tests of the client: responses by script, or of one turn that can be come back to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from waldur_chat.engine.event_log import EventLog, LogReader
from waldur_chat.events import Delta, Event, Finished, Started
from waldur_chat.wire.sse import SSEEncoder

TURN, THREAD = "a" * 32, "b" * 32
HEADERS = {"content-type": "text/event-stream", "x-chat-turn": TURN, "x-chat-thread": THREAD}
STARTED = Started(turn=TURN, thread=THREAD)
FINISHED = Finished(reason="stop", usage=None)


def encoded(events: Sequence[Event], position: int = 0) -> bytes:
    """What the server sends of these events, to who has so many characters."""
    encoder, sent = SSEEncoder(), b""
    for event in events:
        position += len(event.text) if isinstance(event, Delta) else 0
        sent += encoder.encode(position, event) + encoder.keep_alive
    return sent


def rest(events: Sequence[Event], position: int) -> bytes:
    """What the server sends to who comes back: the beginning, the rest of the text, and the end."""
    log = EventLog()
    for event in events:
        log.add(event)
    return encoded(LogReader(log, position).take(), position)


@dataclass
class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The body of a response, in pieces; it may break after the last. Tells whether it was closed."""

    pieces: Sequence[bytes] = ()
    breaks: bool = False
    is_closed: bool = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.breaks:
            raise httpx.ReadError("It broke.")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.is_closed = True

    async def aclose(self) -> None:
        self.is_closed = True


Reply = Exception | tuple[int, dict[str, str], Body]


class Silence(Body):
    """A body that never sends anything, on an event loop."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


@dataclass
class Script:
    """Answers each request with the next reply, and keeps the requests."""

    replies: list[Reply]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        reply = self.replies[len(self.requests)]
        self.requests.append(request)
        if isinstance(reply, Exception):
            raise reply
        status, headers, body = reply
        return httpx.Response(status, headers=headers, stream=body)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Method and path of each request."""
        return [(request.method, request.url.path) for request in self.requests]


def streamed(*pieces: bytes, breaks: bool = False, headers: dict[str, str] = HEADERS) -> Reply:
    """A stream."""
    return 200, headers, Body(pieces, breaks)


def plain(status: int, body: bytes = b"", **headers: str) -> Reply:
    """A response that is no stream."""
    return status, {name.replace("_", "-"): value for name, value in headers.items()}, Body([body])


Handler = Callable[[httpx.Request], httpx.Response]


def sync_http(handler: Handler) -> httpx.Client:
    """An HTTP client that reaches nothing but the handler."""
    return httpx.Client(transport=httpx.MockTransport(handler))


def async_http(handler: Handler) -> httpx.AsyncClient:
    """See sync_http()."""
    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


def body_of(reply: Any) -> Body:
    """The body of a reply."""
    return reply[2]
