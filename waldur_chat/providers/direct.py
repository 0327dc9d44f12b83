"""Requests sent by aiohttp itself, where that is what the SDK's HTTP client stands on.

The layers between them make each request and response twice, and read each piece through three generators: twice the
time that aiohttp needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from functools import partial
from importlib import import_module
from typing import Any

from waldur_chat.providers import transport


class Response:
    """One of aiohttp. See transport.Response."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._end: asyncio.Future[None] | None = None
        self.next_bytes = response.content.readany
        """Awaited, gives the next bytes; none at the end."""

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """See transport.Response."""
        chunks: AsyncIterator[bytes] = self._response.content.iter_any()
        return chunks

    @property
    def has_ended(self) -> bool:
        """Whether its end has come already."""
        return bool(self._response.content.is_eof())

    async def gather(self, seconds: float) -> None:
        """Let bytes come for so long, or until the last is there, so that they are read at once."""
        if self._end is None:
            self._end = asyncio.get_running_loop().create_future()
            self._response.content.on_eof(partial(self._end.set_result, None))
        await asyncio.wait([self._end], timeout=seconds)

    async def aclose(self) -> None:
        """See transport.Response."""
        self._response.release()
        await self._response.wait_for_close()


def session(client: Any, url: Any) -> Any:
    """The aiohttp session by which an HTTP client that has sent something there sends; None where there is none.

    Through a proxy it sends in another way.
    """
    way = getattr(client, "_transport_for_url", lambda _: None)(url)
    found = getattr(way, "client", None)
    is_plain = getattr(way, "proxy", None) is None
    return found if is_plain and type(found).__module__.startswith("aiohttp.") else None


async def post(
    session: Any, url: str, headers: Iterable[tuple[str, str]], content: bytes, connect_seconds: float
) -> Response:
    """Send; give the response, whose body was not read yet. Raises a `ProviderError` for all but a plain 200."""
    timeout = import_module("aiohttp").ClientTimeout(total=None, connect=connect_seconds, sock_connect=connect_seconds)
    response = await session.post(url, headers=headers, data=content, timeout=timeout, allow_redirects=False)
    try:
        transport.check(response.status, response.headers)
    except BaseException:
        response.close()
        raise
    return Response(response)
