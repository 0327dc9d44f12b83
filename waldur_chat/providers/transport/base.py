"""What a provider needs of HTTP: one POST, whose response is read as bytes while they come."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from waldur_chat.messages import Prompt

MAX_KEPT_CONNECTIONS = 100
KEEPALIVE_SECONDS = 5.0

T = TypeVar("T")


class Response(Protocol):
    """A response with the status 200, whose body was not read yet. It must be closed."""

    @property
    def has_ended(self) -> bool:
        """Whether the end of the body is known to have come."""

    async def read(self) -> bytes:
        """The next bytes as they come; none at the end. What is raised where the connection breaks is the library's."""

    async def aclose(self) -> None:
        """Give the connection back where the body has ended; close it at once where it has not."""


class Transport(Protocol):
    """Posts to one address with the headers it was made with. It opens nothing before the first post."""

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        """Send `body` as JSON; the prompt says what else the request needs.

        Raises a `ChatError` for whatever is no plain answer with status 200. Redirects are not followed.
        """

    async def aclose(self) -> None:
        """Close what is open. Called once, when no response is read any more."""


class Opened(Generic[T]):
    """Something that is opened at its first use: once, however many turns need it at the same time."""

    def __init__(self, open_: Callable[[], Awaitable[T]]) -> None:
        self._open = open_
        self._lock = asyncio.Lock()
        self.value: T | None = None
        """None before the first use."""

    async def get(self) -> T:
        """The value; what opening it raises is raised here, and the next caller tries again."""
        async with self._lock:
            if self.value is None:
                self.value = await self._open()
            return self.value


def request_id(prompt: Prompt) -> dict[str, str]:
    """The header by which the request can be found in the provider's log."""
    return {"X-Request-ID": prompt.request_id} if prompt.request_id else {}
