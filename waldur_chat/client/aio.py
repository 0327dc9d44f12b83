"""The asynchronous client, and its I/O: the twin of `sync`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import UUID

import httpx

from waldur_chat.client.answers import Answer, Event, collect
from waldur_chat.client.errors import ChatError, ConnectionLost
from waldur_chat.client.exchange import Exchange, RepeatableCall
from waldur_chat.client.reader import AnswerReader, StreamPosition
from waldur_chat.client.requests import QuestionOptions, RequestBuilder
from waldur_chat.client.retry import Limits

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class AsyncConnection:
    """The asynchronous twin of `sync.Connection`."""

    def __init__(self, http: httpx.AsyncClient, exchange: Exchange) -> None:
        self._http = http
        self._exchange = exchange
        self._response: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes]

    async def open(self) -> None:
        """Wait for the head of a successful response. Raises `ChatError`."""
        while self._response is None and not self._exchange.has_ended:
            await self.step()

    async def step(self) -> None:
        """Connect, or read from the open connection. Raises `ChatError`."""
        try:
            if self._response is None:
                await self._connect()
            else:
                self._exchange.feed(await anext(self._chunks, b""))
        except (httpx.RequestError, ChatError, ConnectionLost) as error:
            await self.aclose()
            await asyncio.sleep(self._exchange.retry_delay(error))

    async def aclose(self) -> None:
        """Close the connection."""
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


class AsyncStream(StreamPosition):
    """The asynchronous twin of `Stream`: an asynchronous iterator of events."""

    def __init__(self, http: httpx.AsyncClient, reader: AnswerReader) -> None:
        super().__init__(reader)
        self._http = http
        self._connection = AsyncConnection(http, reader)

    async def cancel(self) -> None:
        """Cancel the turn. Its events continue up to the last one, which says how it ended."""
        if not self.thread:
            await self._connection.open()
        if self._reader.has_ended:
            return
        if self.thread:
            await run_call(self._http, self._reader.cancel_call())
        else:
            await self.aclose()
            self._reader.end_cancelled()

    async def aclose(self) -> None:
        """Close the connection; the next read opens another one."""
        await self._connection.aclose()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while (event := self._reader.next_event()) is None:
            if self._reader.has_ended:
                await self.aclose()
                raise StopAsyncIteration
            await self._connection.step()
        return event

    async def __aenter__(self) -> Self:
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncClient:
    """The asynchronous twin of `Client`, with the same arguments and errors."""

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
        self._requests = RequestBuilder(address, token, prefix, self._limits)
        self._is_own = http is None
        self._http = http or httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def invoke(self, text: str, **options: Unpack[QuestionOptions]) -> Answer:
        """Ask, and wait for the complete answer. Raises `ChatError` if there is none."""
        async with self.stream(text, **options) as stream:
            return collect([event async for event in stream], stream.turn, stream.thread)

    def stream(self, text: str, **options: Unpack[QuestionOptions]) -> AsyncStream:
        """Ask, and stream the answer. The question is sent when the stream is entered or first read."""
        question = self._requests.ask(text, **options)
        return AsyncStream(self._http, AnswerReader(self._requests, self._limits, question))

    def events(self, turn: str | UUID, *, after: int = 0) -> AsyncStream:
        """Resume a turn: its events after this many characters of its answer."""
        return AsyncStream(self._http, AnswerReader(self._requests, self._limits, turn=str(turn), position=after))

    async def cancel(self, thread: str | UUID) -> None:
        """Cancel the running turn of a conversation, if there is one. Raises `ChatError`."""
        await run_call(self._http, RepeatableCall(self._requests.cancel(str(thread)), self._limits))

    async def aclose(self) -> None:
        """Close all connections."""
        if self._is_own:
            await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


async def run_call(http: httpx.AsyncClient, exchange: RepeatableCall) -> None:
    """Run a call to its end. Raises `ChatError` if it fails."""
    connection = AsyncConnection(http, exchange)
    try:
        await connection.open()
    finally:
        await connection.aclose()
