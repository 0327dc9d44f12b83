"""The protocol of transports: one POST, whose response is read as bytes while they arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from waldur_chat.messages import Prompt

ACCEPT = "text/event-stream, application/json;q=0.9"
"""Strict gateways refuse streams to `application/json` alone, or anything to `text/event-stream` alone.

https://github.com/openai/openai-node/issues/375
"""

MAX_KEPT_CONNECTIONS = 100
KEEPALIVE_SECONDS = 5.0

T = TypeVar("T")


class Response(Protocol):
    """A response with an answer, whose body is not read yet. The caller must close it."""

    @property
    def has_ended(self) -> bool:
        """Whether the end of the body was received."""

    async def read(self) -> bytes:
        """The next bytes as they arrive; empty at the end. Raises the library's error if the connection breaks."""

    async def aclose(self) -> None:
        """Return the connection to its pool if the body has ended, else close it at once."""


class Transport(Protocol):
    """Posts to one address with fixed headers. It opens nothing before the first post."""

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        """Send `body` as JSON. The prompt has the request id and the time limit for connecting.

        Raises a `ChatError` for everything but an uncompressed response with an answer. Follows no redirects.
        """

    async def aclose(self) -> None:
        """Close all connections. Called once, when no response is read any more."""


class LazyResource(Generic[T]):
    """A resource that is opened at its first use, and only once if several turns need it at the same time."""

    def __init__(self, open_: Callable[[], Awaitable[T]]) -> None:
        self._open = open_
        self._lock = asyncio.Lock()
        self.value: T | None = None
        """None before the first use."""

    async def get(self) -> T:
        """The resource. If opening raises, so does this, and the next caller tries again."""
        async with self._lock:
            if self.value is None:
                self.value = await self._open()
            return self.value


def request_id(prompt: Prompt) -> dict[str, str]:
    """The header with which the request can be found in the provider's log."""
    return {"X-Request-ID": prompt.request_id} if prompt.request_id else {}
