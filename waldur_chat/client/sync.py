"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Iterator
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


class Line:
    """Carries an exchange over connections of an HTTP client."""

    def __init__(self, http: httpx.Client, exchange: Exchange) -> None:
        self._http = http
        self._exchange = exchange
        self._response: httpx.Response | None = None
        self._chunks: Iterator[bytes]

    def open(self) -> None:
        """Wait for the head of a good response. Raises `ChatError`."""
        while self._response is None and not self._exchange.has_ended:
            self.step()

    def step(self) -> None:
        """Make a connection, or read from the one there is. Raises `ChatError`."""
        try:
            if self._response is None:
                self._connect()
            else:
                self._exchange.feed(next(self._chunks, b""))
        except (httpx.RequestError, ChatError, Lost) as error:
            self.close()
            time.sleep(self._exchange.lost(error))

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


class Stream(Reading):
    """One answer as it is written: its events, the last of which is `Finished`, `Failed` or `Cancelled`.

    Entering it waits until the server answers. Leaving it closes the connection; the turn goes on, as long as the site
    lets it, and `Client.events()` comes back to it. Where the site stores no conversations, leaving ends it. Raises
    `ChatError` where there is no answer, or the way to it is lost.
    """

    def __init__(self, http: httpx.Client, reader: Reader) -> None:
        super().__init__(reader)
        self._http = http
        self._line = Line(http, reader)

    def cancel(self) -> None:
        """Stop the turn. Its events go on until the last one, which tells how it ended.

        Another thread may do this too, as soon as `thread` is known.
        """
        if not self.thread:
            self._line.open()
        if self._reader.has_ended:
            return
        if self.thread:
            call(self._http, self._reader.cancelling())
        else:
            self.close()
            self._reader.stop()

    def close(self) -> None:
        """Close the connection; reading on opens another one."""
        self._line.close()

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        while (event := self._reader.take()) is None:
            if self._reader.has_ended:
                self.close()
                raise StopIteration
            self._line.step()
        return event

    def __enter__(self) -> Self:
        self._line.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Client:
    """Asks the chat API at an address, as the user whose token it is.

    The address is what stands before the API's `prefix`: "https://chat.example.com/api" for
    "https://chat.example.com/api/chat/stream/". `http` is an HTTP client of your own, with your certificates and
    proxies, which you close yourself. A client may be used by several threads, a stream by one.
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
        self._requests = Requests(address, token, prefix, self._limits)
        self._is_own = http is None
        self._http = http or httpx.Client(limits=httpx.Limits(max_connections=None))

    def invoke(self, text: str, **options: Unpack[Options]) -> Answer:
        """Ask for a whole answer. See Options. Raises `ChatError` where there is none."""
        with self.stream(text, **options) as stream:
            return collect(list(stream), stream.turn, stream.thread)

    def stream(self, text: str, **options: Unpack[Options]) -> Stream:
        """Ask for an answer as it is written. See Options. The question is asked when the stream is entered or read."""
        question = self._requests.ask(text, **options)
        return Stream(self._http, Reader(self._requests, self._limits, question))

    def events(self, turn: str | UUID, *, after: int = 0) -> Stream:
        """Come back to a turn: what is written after so many characters of its answer, and its end."""
        return Stream(self._http, Reader(self._requests, self._limits, turn=str(turn), position=after))

    def cancel(self, thread: str | UUID) -> None:
        """Stop what runs in a conversation; where nothing runs, nothing happens. Raises `ChatError`."""
        call(self._http, Call(self._requests.cancel(str(thread)), self._limits))

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


def call(http: httpx.Client, exchange: Call) -> None:
    """Make the call. Raises `ChatError` where it fails."""
    line = Line(http, exchange)
    try:
        line.open()
    finally:
        line.close()
