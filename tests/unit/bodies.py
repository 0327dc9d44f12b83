"""Responses of a model service whose bodies a test has written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from waldur_chat.events import ProviderEvent
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.transport import base
from waldur_chat.providers.transport.streaming import stream_events


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
    """See transport.base.Response."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self._pieces = pieces
        self.has_ended = False
        self.closed = False

    async def read(self) -> bytes:
        return await anext(self._pieces, b"")

    async def aclose(self) -> None:
        self.closed = True


def streamed(response: base.Response) -> AsyncGenerator[ProviderEvent, None]:
    """Its events."""

    async def post() -> base.Response:
        return response

    return stream_events(post, ChunkReader())
