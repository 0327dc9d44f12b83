"""The transport for plain addresses, with aiohttp's public API. It does not import the openai SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from waldur_chat import __version__
from waldur_chat.messages import Prompt
from waldur_chat.providers.transport.base import ACCEPT, KEEPALIVE_SECONDS, LazyResource, Response, request_id
from waldur_chat.providers.transport.errors import connection_error
from waldur_chat.providers.transport.refused import check_head, is_answer, refuse

READ_AHEAD_BYTES = 16 * 1024
"""How much of a stream is buffered before its connection is paused. By default aiohttp buffers half a megabyte."""

COMMON_HEADERS = {
    "Accept": ACCEPT,
    "Accept-Encoding": "identity",
    "Content-Type": "application/json",
    "User-Agent": f"waldur_chat/{__version__}",
}


class AiohttpTransport:
    """A `base.Transport` that posts with one session of aiohttp."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {**COMMON_HEADERS, **headers}
        self._session: LazyResource[Any] = LazyResource(_open_session)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
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
            if not is_answer(response.status):
                raise await refuse(response.status, response.headers, response.content.readany)
            check_head(response.status, response.headers)
        except BaseException:  # Also when cancelled while the body of an error is read.
            response.close()
            raise
        return AiohttpResponse(response)

    async def aclose(self) -> None:
        if self._session.value is not None:
            await self._session.value.close()


class AiohttpResponse:
    """A `base.Response` of aiohttp."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self.read = response.content.readany
        """The method of aiohttp without a wrapper, since it is called once for each token."""

    @property
    def has_ended(self) -> bool:
        return bool(self._response.content.at_eof())

    async def aclose(self) -> None:
        """Close the connection, unless the body has ended: then aiohttp has returned it to its pool."""
        self._response.close()


async def _open_session() -> Any:
    """Open a session on the running loop. Importing aiohttp is slow and reads certificates, so a thread does it."""
    aiohttp = await asyncio.to_thread(import_module, "aiohttp")
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS),  # 0 means no limit.
        cookie_jar=aiohttp.DummyCookieJar(),  # A cookie must not connect the turns of different users.
        read_bufsize=READ_AHEAD_BYTES,
    )


def _timeout(prompt: Prompt) -> Any:
    """The time limit for connecting, TLS included. The turn has all other limits."""
    seconds = prompt.connect_seconds
    return import_module("aiohttp").ClientTimeout(total=None, connect=seconds, sock_connect=seconds)
