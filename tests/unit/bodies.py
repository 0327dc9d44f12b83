"""Responses of a model service whose bodies a test has written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable

from waldur_chat.events import ProviderEvent
from waldur_chat.providers import transport
from waldur_chat.providers.openai_chunks import ChunkReader


class Body:
    """A body in pieces, the last of which may be an error, or seconds of silence; it knows whether it was closed."""

    def __init__(self, *pieces: bytes | Exception | float) -> None:
        self.pieces = pieces
        self.closed = False

    async def read(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                if isinstance(piece, Exception):
                    raise piece
                if isinstance(piece, bytes):
                    yield piece
                else:
                    await asyncio.sleep(piece)
        finally:
            self.closed = True


class Response:
    """See transport.Response."""

    def __init__(self, stream: AsyncIterable[bytes]) -> None:
        self.stream = stream
        self.closed = False

    async def aclose(self) -> None:
        self.closed = True


def relayed(response: Response) -> AsyncGenerator[ProviderEvent, None]:
    """Its events."""

    async def ask() -> transport.Response:
        return response

    return transport.relay(ask, ChunkReader())
