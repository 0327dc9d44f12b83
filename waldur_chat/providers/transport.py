"""The HTTP client of providers that speak HTTP: the one that the openai SDK brings, whichever that is.

The SDK stood on httpx up to version 2 and stands on httpx2 from 3 on, and with its extra `aiohttp` uses that below
either. So the client is made by the SDK's own classes, and nothing of ours imports any of the three.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing, suppress
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from types import AsyncGeneratorType
from typing import Any, Protocol, cast
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.errors import (
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.forgotten import close_forgotten
from waldur_chat.providers.gathering import READ_AHEAD_BYTES, Gathering, wants_whole

DRAIN_SECONDS = 0.1
MAX_CONNECTIONS = 1_000_000
"""In effect none; aiohttp would take "no limit" for its default of 100."""
KEEPALIVE_SECONDS = 5.0
_LONGEST_RETRY_AFTER = 3600

_LOGGERS = [
    logging.getLogger(name)
    for name in (
        *("httpx", "httpx2", "openai", "openai._base_client", "openai._response", "openai._legacy_response"),
        *(
            f"{core}.{part}"
            for core in ("httpcore", "httpcore2")
            for part in ("connection", "http11", "http2", "proxy", "socks")
        ),
    )
]
"""Those by which the client's code logs; a filter is asked for its own logger's records only, not for those below."""

_quiet: ContextVar[bool] = ContextVar("waldur_chat_quiet", default=False)


def open_client() -> Any:
    """A new HTTP client that follows no redirect, and raises a `ProviderError` for every response but a plain 200.

    It imports the SDK (half a second and 40 MB at the first call) and reads certificates: call it in a thread.
    """
    openai = import_module("openai")
    _spare_collector()
    options = {
        "event_hooks": {"response": [_check_response]},
        "follow_redirects": False,
        "timeout": None,
        "limits": type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=MAX_CONNECTIONS, max_keepalive_connections=100, keepalive_expiry=KEEPALIVE_SECONDS
        ),
    }
    try:
        client = openai.DefaultAioHttpClient(**options)
    except RuntimeError:  # The extra is not installed.
        client = openai.DefaultAsyncHttpxClient(**options)
        close_forgotten(client)
        return client
    _read_little_ahead(client._transport)
    return client


@cache
def _spare_collector() -> None:
    """Take what there is by now out of the garbage collector's rounds, once in this process.

    Those of the SDK, some 65,000 beside a site's 90,000, stay as long as the process; a full round would look at all of
    them while every stream waits.
    """
    gc.collect()
    gc.freeze()


def _read_little_ahead(transport: Any) -> None:
    """Let aiohttp hold less of a stream that nobody reads: by default it is half a megabyte."""

    def session() -> Any:
        aiohttp = import_module("aiohttp")
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_SECONDS, ssl=transport.ssl_context
        )
        return aiohttp.ClientSession(connector=connector, read_bufsize=READ_AHEAD_BYTES)

    transport.client = session


@cache
def response_class() -> Any:
    """The class of the client's responses; the SDK gives a response as it is to whoever asks for this."""
    limits = type(import_module("openai").DEFAULT_CONNECTION_LIMITS)
    return import_module(limits.__module__.partition(".")[0]).Response


def timeout(prompt: Prompt) -> Any:
    """The time limit of a request: that of connecting. All others are the turn's own."""
    return import_module("openai").Timeout(None, connect=prompt.connect_seconds, pool=prompt.connect_seconds)


def request_id(prompt: Prompt) -> dict[str, str]:
    """The header by which the request can be found in the provider's log."""
    return {"X-Request-ID": prompt.request_id} if prompt.request_id else {}


def broken(error: Exception) -> ProviderError:
    """What it means that a request could not be sent, or that no response came.

    A timeout can only be that of connecting: no other is set. Its class depends on the client, a cause does not.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (TimeoutError, asyncio.TimeoutError)):
            return ProviderConnectTooSlow("The provider did not take the connection in time.")
        cause, last = cause.__cause__ or cause.__context__, cause
    return ProviderUnreachable(f"No connection to the provider: {type(last).__name__}.")


class Response(Protocol):
    """One whose body is read as it comes; it must be closed."""

    @property
    def stream(self) -> AsyncIterable[bytes]: ...

    async def aclose(self) -> None: ...


async def send(client: Any, request: Any) -> Response:
    """The response to a request of this client. While it is read, it holds neither the prompt nor any headers."""
    response = await client.send(request, stream=True)
    forget_request(response)
    return cast("Response", response)


def forget_request(response: Any) -> None:
    """Let a response, which lasts as long as its answer, not hold the prompt and all headers."""
    response.request = type(response.request)(response.request.method, response.request.url)
    response.headers = type(response.headers)()


def check(status: int, headers: Mapping[str, str]) -> None:
    """Raise what the head of a response means that is no answer; its body, which may be endless, is never read."""
    if status != 200:
        raise refusal(status, headers)
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise ProviderFailed("The provider compressed its answer although it was asked not to.")


async def _check_response(response: Any) -> None:
    check(response.status_code, response.headers)


def check_address(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` for an option that is no address of HTTP, or has white space around it."""
    if not (isinstance(value, str) and re.fullmatch(r"[!-~]+", value) and _is_address(value)):
        raise ImproperlyConfigured(f"{name} must be an address that begins with http:// or https://.")


def _is_address(value: str) -> bool:
    try:
        address = urlsplit(value)
        works = address.scheme in ("http", "https") and address.port != 0
    except ValueError:
        return False
    return works and bool(re.fullmatch(r"(.*@)?(\[[\da-fA-F:.]+\]|[\w.-]+)(:\d+)?", address.netloc))


def check_key(name: str, value: object) -> None:
    """Raise `ImproperlyConfigured` for an option that no header can carry; a line feed at its end is the usual case."""
    if not (isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()):
        raise ImproperlyConfigured(f"{name} must be a string of ASCII without spaces or line feeds around it.")


class Reader(Protocol):
    """Translates the bytes of one stream."""

    done: bool

    def feed(self, data: bytes) -> Iterable[ProviderEvent]: ...

    def finish(self) -> Iterable[ProviderEvent]: ...


async def relay(ask: Callable[[], Awaitable[Response]], reader: Reader) -> AsyncGenerator[ProviderEvent, None]:
    """Ask, and give the events of the whole body. That it breaks after the answer was complete does no harm.

    A single generator reads and translates: each layer more would cost every token that comes alone.
    """
    be_quiet()
    broken: ProviderUnreachable | None = None
    async with aclosing(await ask()) as response:
        chunks, gathering = aiter(response.stream), Gathering(response)
        read = getattr(response, "next_bytes", chunks.__anext__)  # Without an iterator, where there is a way.
        data = b""
        try:
            while not reader.done:
                if wants_whole.get():
                    await gathering.more(len(data))
                try:
                    data = await read()
                except StopAsyncIteration:
                    break
                except Exception as error:
                    broken = ProviderUnreachable(f"The connection broke: {type(error).__name__}.")
                    broken.__cause__ = error
                    break
                if not data and _has_ended(response):
                    break
                for event in reader.feed(data):
                    yield event
                if not _quiet.get():  # The first piece was read in another task than those that follow.
                    _quiet.set(True)
            for event in _last(reader, broken):
                yield event
            await drain(response, chunks)
        finally:
            if isinstance(chunks, AsyncGeneratorType) and not chunks.ag_running:  # It may be closing still.
                await chunks.aclose()


def _has_ended(response: Response) -> bool:
    """Whether its end has come already; the HTTP client's own responses do not tell."""
    return getattr(response, "has_ended", False)


def _last(reader: Reader, broken: ProviderUnreachable | None) -> Iterable[ProviderEvent]:
    """What the end of the body means; that it broke is why it is incomplete."""
    try:
        return reader.finish()
    except ProviderIncomplete:
        if broken:
            raise broken from broken.__cause__
        raise


async def drain(response: Response, chunks: AsyncIterator[bytes]) -> None:
    """Read what follows the last event, which is nothing but the end, so that the connection can be used again."""
    if not _has_ended(response):
        with suppress(Exception):
            await asyncio.wait_for(anext(chunks, b""), DRAIN_SECONDS)


def refusal(status: int, headers: Mapping[str, str]) -> ProviderError:
    """The error that an HTTP status other than 200 means. The body may quote keys and prompts: it is not read."""
    message = f"The provider answered with status {status}."
    if status in (429, 503, 529):
        return ProviderBusy(message, retry_after=_seconds(headers.get("retry-after")))
    if status in (408, 504):
        return ProviderTooSlow(message)
    if status >= 500:
        return ProviderFailed(message)
    return ProviderRefused(message, provider_status=status)


def be_quiet() -> None:
    """Keep the client's own log records of this turn out of the log: they name addresses and, at DEBUG, prompts."""
    for logger in _LOGGERS:  # Each time, since the site's logging may have been set up anew.
        if _is_wanted not in logger.filters:
            logger.addFilter(_is_wanted)
    _quiet.set(True)


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or not _quiet.get()


def _seconds(value: str | None) -> int | None:
    """`Retry-After` in its usual form; the form that is a date is rare enough to go without."""
    if not (value and value.isascii() and value.isdigit()):
        return None
    return _LONGEST_RETRY_AFTER if len(value) > 9 else min(int(value), _LONGEST_RETRY_AFTER)
