"""LangServe-style services: what the chat of a Waldur of 2025 called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from waldur_chat.errors import ChatError
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers import transport
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve_events import LangServeReader


class LangServeProvider(Provider):
    """Asks a stream endpoint of LangServe: `url` is its full address, `token` may be empty."""

    writes_titles = False

    def __init__(self, *, url: str, token: str = "") -> None:
        transport.check_address("url", url)
        transport.check_key("token", token)
        self._url = url
        self._headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Token {token}"
        self._client: Any = None
        self._connecting = asyncio.Lock()

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider.stream(). The service takes one text."""
        return transport.relay(partial(self._ask, prompt), LangServeReader())

    async def aclose(self) -> None:
        """See Provider.aclose()."""
        if self._client is not None:
            await self._client.aclose()

    async def _connect(self) -> Any:
        async with self._connecting:
            self._client = self._client or await asyncio.to_thread(transport.open_client)
            return self._client

    async def _ask(self, prompt: Prompt) -> transport.Response:
        client = await self._connect()
        body = {"input": prompt.transcript}
        headers = {**self._headers, **transport.request_id(prompt)}
        request = client.build_request("POST", self._url, json=body, headers=headers, timeout=transport.timeout(prompt))
        try:
            return await transport.send(client, request)
        except ChatError:
            raise
        except Exception as error:  # The client's own errors have no name that is the same for every SDK's release.
            raise transport.broken(error) from error
