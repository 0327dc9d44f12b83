"""From a response to events: reads it piece by piece, has it translated, and leaves its connection fit for another."""

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
    """Translates the bytes of one stream."""

    done: bool

    def feed(self, data: bytes) -> Iterable[ProviderEvent]: ...

    def finish(self) -> Iterable[ProviderEvent]: ...


async def stream_events(post: Callable[[], Awaitable[Response]], reader: Reader) -> AsyncGenerator[ProviderEvent, None]:
    """Post, and yield the events of the whole body. That the connection breaks after they are complete does no harm.

    One generator reads and translates, since each layer more would cost every token that comes alone.
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
    """What the end of the body means; that the connection broke is why it is incomplete."""
    try:
        return reader.finish()
    except ProviderIncomplete:
        if broken:
            raise broken from broken.__cause__
        raise


async def _drain(response: Response) -> None:
    """Read what follows the last event, the end of the body as a rule, so that the connection can be used again."""
    if not response.has_ended:
        with suppress(Exception):
            await asyncio.wait_for(_read_to_end(response), DRAIN_SECONDS)


async def _read_to_end(response: Response) -> None:
    while await response.read():
        pass
