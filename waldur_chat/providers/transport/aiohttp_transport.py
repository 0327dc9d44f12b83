"""The transport for a plain address: aiohttp's public API, and nothing of the SDK, which is not even imported."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from waldur_chat import __version__
from waldur_chat.errors import ProviderError
from waldur_chat.messages import Prompt
from waldur_chat.providers.transport.base import KEEPALIVE_SECONDS, Opened, Response, request_id
from waldur_chat.providers.transport.errors import check_head, connection_error

READ_AHEAD_BYTES = 16 * 1024
"""How much of a stream that nobody reads is held before its connection is paused; by default it is half a megabyte."""

COMMON_HEADERS = {
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": f"waldur_chat/{__version__}",
}


class AiohttpTransport:
    """See base.Transport."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {**COMMON_HEADERS, **headers}
        self._session: Opened[Any] = Opened(_open_session)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        """See base.Transport."""
        session = await self._session.get()
        try:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
            response = await session.post(
                self._url,
                data=content,
                headers={**self._headers, **request_id(prompt)},
                timeout=_timeout(prompt),
                allow_redirects=False,
            )
        except Exception as error:
            raise connection_error(error) from error
        try:
            check_head(response.status, response.headers)
        except ProviderError:
            response.close()
            raise
        return AiohttpResponse(response)

    async def aclose(self) -> None:
        """See base.Transport."""
        if self._session.value is not None:
            await self._session.value.close()


class AiohttpResponse:
    """See base.Response."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.read = response.content.readany
        """Aiohttp's own, without a layer around it: each token that comes alone is one call."""

    @property
    def has_ended(self) -> bool:
        """See base.Response."""
        return bool(self._response.content.at_eof())

    async def aclose(self) -> None:
        """See base.Response. A body that has ended has given its connection back by itself."""
        self._response.close()


async def _open_session() -> Any:
    """A session of the running loop. Importing aiohttp takes a moment, and reads the system's certificates."""
    aiohttp = await asyncio.to_thread(import_module, "aiohttp")
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),  # 0: no limit.
        cookie_jar=aiohttp.DummyCookieJar(),  # One user's turn must not be recognised in another's.
        read_bufsize=READ_AHEAD_BYTES,
    )


def _timeout(prompt: Prompt) -> Any:
    """The time limit of connecting, TLS included. All others are the turn's own."""
    seconds = prompt.connect_seconds
    return import_module("aiohttp").ClientTimeout(total=None, connect=seconds, sock_connect=seconds)
