"""The client for event loops. What it does is told in `sync`, and decided in `reader`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from waldur_chat.client.answers import Answer, Event, collect
from waldur_chat.client.errors import ChatError, Lost
from waldur_chat.client.exchange import Call, Exchange
from waldur_chat.client.reader import Reader, Reading
from waldur_chat.client.requests import Options, Requests
from waldur_chat.client.retry import Limits

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class AsyncLine:
    """See sync.Line."""

    def __init__(self, http: httpx.AsyncClient, exchange: Exchange) -> None:
        self._http = http
        self._exchange = exchange
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes]

    async def open(self) -> None:
        """See Line.open()."""
        while self._response is None and not self._exchange.has_ended:
            await self.step()

    async def step(self) -> None:
        """See Line.step()."""
        try:
            if self._response is None:
                await self._connect()
            else:
                self._exchange.feed(await anext(self._chunks, b""))
        except (httpx.RequestError, ChatError, Lost) as error:
            await self.aclose()
            await asyncio.sleep(self._exchange.lost(error))

    async def aclose(self) -> None:
        """See Line.close()."""
        if self._response:
            await self._response.aclose()
        self._response = None

    async def _connect(self) -> None:
        wanted = self._exchange.request()
        timeout = httpx.Timeout(wanted.silence_seconds, connect=wanted.connect_seconds)
        request = self._http.build_request(
            wanted.method, wanted.url, headers=wanted.headers, content=wanted.content, timeout=timeout
        )
        response = self._response = await self._http.send(request, stream=True, follow_redirects=False)
        body = b"" if response.status_code == 200 else await response.aread()
        self._exchange.head(response.status_code, response.headers, body)
        self._chunks = response.aiter_bytes()


class AsyncStream(Reading):
    """See sync.Stream."""

    def __init__(self, http: httpx.AsyncClient, reader: Reader) -> None:
        super().__init__(reader)
        self._http = http
        self._line = AsyncLine(http, reader)

    async def cancel(self) -> None:
        """See Stream.cancel()."""
        if not self.thread:
            await self._line.open()
        if self._reader.has_ended:
            return
        if self.thread:
            await call(self._http, self._reader.cancelling())
        else:
            await self.aclose()
            self._reader.stop()

    async def aclose(self) -> None:
        """See Stream.close()."""
        await self._line.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while (event := self._reader.take()) is None:
            if self._reader.has_ended:
                await self.aclose()
                raise StopAsyncIteration
            await self._line.step()
        return event

    async def __aenter__(self) -> Self:
        await self._line.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncClient:
    """See sync.Client."""

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        prefix: str = "chat",
        limits: Limits | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._requests = Requests(address, token, prefix, self._limits)
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def invoke(self, text: str, **options: Unpack[Options]) -> Answer:
        """See Client.invoke()."""
        async with self.stream(text, **options) as stream:
            return collect([event async for event in stream], stream.turn, stream.thread)

    def stream(self, text: str, **options: Unpack[Options]) -> AsyncStream:
        """See Client.stream()."""
        question = self._requests.ask(text, **options)
        return AsyncStream(self._http, Reader(self._requests, self._limits, question))

    def events(self, turn: str | UUID, *, after: int = 0) -> AsyncStream:
        """See Client.events()."""
        return AsyncStream(self._http, Reader(self._requests, self._limits, turn=str(turn), position=after))

    async def cancel(self, thread: str | UUID) -> None:
        """See Client.cancel()."""
        await call(self._http, Call(self._requests.cancel(str(thread)), self._limits))

    async def aclose(self) -> None:
        """See Client.close()."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def call(http: httpx.AsyncClient, exchange: Call) -> None:
    """See sync.call()."""
    line = AsyncLine(http, exchange)
    try:
        await line.open()
    finally:
        await line.aclose()
