"""The clients: many streams read at once, by one event loop that does as little as it can for each."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable

STAMP = re.compile(rb"(\d+\.\d{6}) ")
TAIL = 2000
"""The bytes that are kept of the end of an answer; what follows the last token is in them."""


class Reading(asyncio.Protocol):
    """One request and its answer, to the end of the connection."""

    def __init__(self, request: bytes, hear: Callable[[bytes], None] | None = None) -> None:
        self._request = request
        self._hear = hear
        self.asked = 0.0
        self.first: float | None = None
        """Seconds until the first token."""
        self.tail = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.asked = time.monotonic()
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self.first is None and b"w0 " in data:
            self.first = time.monotonic() - self.asked
        if self._hear:
            self._hear(data)
        self.tail = (data if len(data) >= TAIL else self.tail + data)[-TAIL:]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


async def connect(
    port: int, request: bytes, hear: Callable[[bytes], None] | None = None
) -> tuple[asyncio.Transport, Reading]:
    """Ask."""
    return await asyncio.get_running_loop().create_connection(lambda: Reading(request, hear), "127.0.0.1", port)


async def read(port: int, request: bytes, hear: Callable[[bytes], None] | None = None) -> Reading:
    """Ask, and read the whole answer."""
    _, reading = await connect(port, request, hear)
    await reading.ended
    return reading


async def read_all(port: int, requests: Iterable[bytes], last: str) -> list[Reading]:
    """Ask all at once; each answer has to end with the `last` token."""
    readings = await asyncio.gather(*(read(port, one) for one in requests))
    for reading in readings:
        check(reading, last)
    return readings


async def in_turns(port: int, requests: Iterable[bytes], at_once: int) -> list[Reading]:
    """Ask one after the other, so many at once."""
    left = iter(requests)

    async def one_after_the_other() -> list[Reading]:
        return [await read(port, request) for request in left]

    return [
        reading for some in await asyncio.gather(*(one_after_the_other() for _ in range(at_once))) for reading in some
    ]


def check(reading: Reading, last: str) -> None:
    """Raise where there was no whole answer."""
    if f"{last} ".encode() not in reading.tail and f'{last}"'.encode() not in reading.tail:
        raise RuntimeError(f"there was no whole answer: {reading.tail!r}")


class Lateness:
    """How late stamped tokens arrive, in seconds, while it is told to note it."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self.is_noted = False

    def hear(self, data: bytes) -> None:
        if self.is_noted:
            now = time.monotonic()
            self.found += [now - float(stamp) for stamp in STAMP.findall(data)]
