"""The provider for LangServe-style services, which the chat of a Waldur of 2025 called."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.dialects.ends import StopReasons
from waldur_chat.providers.dialects.leading_thoughts import ThoughtSplitter
from waldur_chat.providers.langserve_events import LangServeReader
from waldur_chat.providers.transport.addresses import check_address, check_key
from waldur_chat.providers.transport.aiohttp_transport import AiohttpTransport
from waldur_chat.providers.transport.base import Response, Transport
from waldur_chat.providers.transport.choice import Choice, choose
from waldur_chat.providers.transport.sdk import HttpClientTransport
from waldur_chat.providers.transport.streaming import stream_events
from waldur_chat.wire.sse_decoder import event_limit


class LangServeProvider(Provider):
    """Sends prompts to a stream endpoint of LangServe: `url` is its full address, `token` may be empty."""

    writes_titles = False

    def __init__(self, *, url: str, token: str = "") -> None:
        check_address("url", url)
        check_key("token", token)
        self._url = url
        self._headers = {"Authorization": f"Token {token}"} if token else {}
        self._reasons = StopReasons()
        self._transport: Transport | None = None

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """Answer the prompt. The whole conversation is sent as one text, since the service accepts no messages."""
        reader = LangServeReader(ThoughtSplitter(), self._reasons, event_limit(prompt.answer_max_length))
        return stream_events(partial(self._ask, prompt), reader)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def transport_choice(self) -> Choice:
        return choose(self._url)

    async def _ask(self, prompt: Prompt) -> Response:
        self._transport = self._transport or self._make_transport()
        return await self._transport.post({"input": prompt.transcript}, prompt)

    def _make_transport(self) -> Transport:
        kind = AiohttpTransport if self.transport_choice().name == "aiohttp" else HttpClientTransport
        return kind(self._url, self._headers)
