"""Turn a response into events: read it, feed it to a parser, and leave its connection reusable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Protocol

from waldur_chat.errors import ProviderIncomplete, ProviderUnreachable
from waldur_chat.events import ProviderEvent
from waldur_chat.providers.transport.base import Response

DRAIN_SECONDS = 0.1


class Reader(Protocol):
    """Parses the bytes of one stream into events."""

    done: bool

    def feed(self, data: bytes) -> Iterable[ProviderEvent]: ...

    def finish(self) -> Iterable[ProviderEvent]: ...


async def stream_events(post: Callable[[], Awaitable[Response]], reader: Reader) -> AsyncGenerator[ProviderEvent, None]:
    """Post, and yield the events of the body. A connection that breaks after the last event is no error.

    One generator does all of it, since each further layer would slow every token down.
    """
    broken: ProviderUnreachable | None = None
    async with aclosing(await post()) as response:
        while not reader.done:
            try:
                data = await response.read()
            except Exception as error:
                broken = ProviderUnreachable(f"The connection broke: {type(error).__name__}.")
                broken.__cause__ = error
                break
            if not data:
                break
            for event in reader.feed(data):
                yield event
        for event in _last_events(reader, broken):
            yield event
        if reader.done:
            await _drain(response)


def _last_events(reader: Reader, broken: ProviderUnreachable | None) -> Iterable[ProviderEvent]:
    """The events at the end of the body. If it is incomplete and the connection broke, raise that error."""
    try:
        return reader.finish()
    except ProviderIncomplete:
        if broken:
            raise broken from broken.__cause__
        raise


async def _drain(response: Response) -> None:
    """Read the rest after the last event, usually only the end of the body, so that the connection is reusable."""
    if not response.has_ended:
        with suppress(Exception):
            await asyncio.wait_for(_read_to_end(response), DRAIN_SECONDS)


async def _read_to_end(response: Response) -> None:
    while await response.read():
        pass
