"""The synchronous client, and its I/O. Decisions are made in `exchange` and `reader`."""

from __future__ import annotations

import time
from collections.abc import Iterator
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


class Connection:
    """The connection of an exchange; it is opened again after each failure, until the exchange gives up."""

    def __init__(self, http: httpx.Client, exchange: Exchange) -> None:
        self._http = http
        self._exchange = exchange
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes]

    def open(self) -> None:
        """Wait for the head of a successful response. Raises `ChatError`."""
        while self._response is None and not self._exchange.has_ended:
            self.step()

    def step(self) -> None:
        """Connect, or read from the open connection. Raises `ChatError`."""
        try:
            if self._response is None:
                self._connect()
            else:
                self._exchange.feed(next(self._chunks, b""))
        except (httpx.RequestError, ChatError, ConnectionLost) as error:
            self.close()
            time.sleep(self._exchange.retry_delay(error))

    def close(self) -> None:
        """Close the connection."""
        if self._response:
            self._response.close()
        self._response = None

    def _connect(self) -> None:
        wanted = self._exchange.request()
        timeout = httpx.Timeout(wanted.silence_seconds, connect=wanted.connect_seconds)
        request = self._http.build_request(
            wanted.method, wanted.url, headers=wanted.headers, content=wanted.content, timeout=timeout
        )
        response = self._response = self._http.send(request, stream=True, follow_redirects=False)
        body = b"" if response.status_code == 200 else response.read()
        self._exchange.head(response.status_code, response.headers, body)
        self._chunks = response.iter_bytes()


class Stream(StreamPosition):
    """One answer while it is written: an iterator of events that ends with `Finished`, `Failed` or `Cancelled`.

    Entering waits until the server answers. Leaving closes the connection: the turn continues for as long as the site
    allows, and `Client.events()` resumes it. If the site stores no conversations, leaving cancels the turn. Raises
    `ChatError` if there is no answer, or if the connection cannot be restored.
    """

    def __init__(self, http: httpx.Client, reader: AnswerReader) -> None:
        super().__init__(reader)
        self._http = http
        self._connection = Connection(http, reader)

    def cancel(self) -> None:
        """Cancel the turn. Its events continue up to the last one, which says how it ended.

        Another thread may call this too, as soon as `thread` is known.
        """
        if not self.thread:
            self._connection.open()
        if self._reader.has_ended:
            return
        if self.thread:
            run_call(self._http, self._reader.cancel_call())
        else:
            self.close()
            self._reader.end_cancelled()

    def close(self) -> None:
        """Close the connection; the next read opens another one."""
        self._connection.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while (event := self._reader.next_event()) is None:
            if self._reader.has_ended:
                self.close()
                raise StopIteration
            self._connection.step()
        return event

    def __enter__(self) -> Self:
        self._connection.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Client:
    """Client of one chat API, with the token of one user.

    The address is the part of the URL before the API's `prefix`: "https://chat.example.com/api" for
    "https://chat.example.com/api/chat/stream/". `http` is an HTTP client of your own, with your certificates and
    proxies; you close it yourself. Several threads may share a client, but not a stream.
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        prefix: str = "chat",
        limits: Limits | None = None,
        http: httpx.Client | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._requests = RequestBuilder(address, token, prefix, self._limits)
        self._is_own = http is None
        self._http = http or httpx.Client(limits=httpx.Limits(max_connections=None))

    def invoke(self, text: str, **options: Unpack[QuestionOptions]) -> Answer:
        """Ask, and wait for the complete answer. Raises `ChatError` if there is none."""
        with self.stream(text, **options) as stream:
            return collect(list(stream), stream.turn, stream.thread)

    def stream(self, text: str, **options: Unpack[QuestionOptions]) -> Stream:
        """Ask, and stream the answer. The question is sent when the stream is entered or first read."""
        question = self._requests.ask(text, **options)
        return Stream(self._http, AnswerReader(self._requests, self._limits, question))

    def events(self, turn: str | UUID, *, after: int = 0) -> Stream:
        """Resume a turn: its events after this many characters of its answer."""
        return Stream(self._http, AnswerReader(self._requests, self._limits, turn=str(turn), position=after))

    def cancel(self, thread: str | UUID) -> None:
        """Cancel the running turn of a conversation, if there is one. Raises `ChatError`."""
        run_call(self._http, RepeatableCall(self._requests.cancel(str(thread)), self._limits))

    def close(self) -> None:
        """Close all connections."""
        if self._is_own:
            self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def run_call(http: httpx.Client, exchange: RepeatableCall) -> None:
    """Run a call to its end. Raises `ChatError` if it fails."""
    connection = Connection(http, exchange)
    try:
        connection.open()
    finally:
        connection.close()
