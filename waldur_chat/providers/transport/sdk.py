"""The transport for everything that is not plain, with the public API of the openai SDK.

The SDK uses httpx up to version 2, and httpx2 from 3 on. A class of the SDK makes the HTTP client, so that this package
imports neither of them. Chunks are read as bytes, since the SDK's objects cost more than the rest of a turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from importlib import import_module
from types import AsyncGeneratorType
from typing import Any

from waldur_chat.errors import ChatError, ChatNotConfigured, ProviderError, ProviderFailed
from waldur_chat.messages import Prompt
from waldur_chat.providers.transport import httpcore_leaks
from waldur_chat.providers.transport.base import (
    ACCEPT,
    KEEPALIVE_SECONDS,
    MAX_KEPT_CONNECTIONS,
    LazyResource,
    Response,
    request_id,
)
from waldur_chat.providers.transport.environment import environment_problems
from waldur_chat.providers.transport.errors import connection_error
from waldur_chat.providers.transport.logs import keep_muted, mute_client_logs
from waldur_chat.providers.transport.refused import check_head, is_answer, refuse, status_error
from waldur_chat.runtime import shortcuts

_TELEMETRY_FIELDS = (
    "Arch",
    "Async",
    "Lang",
    "OS",
    "Package-Version",
    "Read-Timeout",
    "Retry-Count",
    "Runtime",
    "Runtime-Version",
)
TELEMETRY = [f"X-Stainless-{name}" for name in _TELEMETRY_FIELDS]
"""Headers in which the SDK describes the machine. No service needs them."""


class SdkTransport:
    """A `base.Transport` that posts with a client of the SDK, to a path below the client's address.

    `options` are the keyword arguments of the client; with `azure_endpoint` among them it is the client for Azure.
    `sends_key` is false for services without keys: the SDK requires a key, so the header is omitted.
    """

    def __init__(self, path: str, options: Mapping[str, Any], *, sends_key: bool = True) -> None:
        self._path = path
        self._options = options
        self._sends_key = sends_key
        self._client: LazyResource[Any] = LazyResource(self._open)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        mute_client_logs()
        client = await self._client.get()
        openai = import_module("openai")
        try:
            stream = await client.post(
                self._path,
                body=body,
                cast_to=object,
                options={"headers": self._headers(openai, prompt), "timeout": _timeout(prompt)},
                stream=True,
                stream_cls=openai.AsyncStream[object],
            )
        except openai.OpenAIError as error:
            raise to_chat_error(error) from error
        except ChatError:
            raise
        except Exception as error:
            raise connection_error(error) from error
        return await _checked(stream.response)

    async def aclose(self) -> None:
        if self._client.value is not None:
            await self._client.value.close()

    async def _open(self) -> Any:
        return await asyncio.to_thread(_make_client, self._options)

    def _headers(self, openai: Any, prompt: Prompt) -> dict[str, Any]:
        left_out = [*TELEMETRY, *([] if self._sends_key else ["Authorization"])]
        sent = {"Accept": ACCEPT, "Accept-Encoding": "identity", **request_id(prompt)}
        return {**dict.fromkeys(left_out, openai.Omit()), **sent}


class HttpClientTransport:
    """A `base.Transport` that posts with the SDK's HTTP client only, for services that are not OpenAI-compatible.

    The SDK's own client would send them what the environment has for OpenAI: an organization, further headers.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Accept": ACCEPT, "Accept-Encoding": "identity", **headers}
        self._client: LazyResource[Any] = LazyResource(self._open)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        mute_client_logs()
        client = await self._client.get()
        headers = {**self._headers, **request_id(prompt)}
        try:
            request = client.build_request("POST", self._url, json=body, headers=headers, timeout=_timeout(prompt))
            return await _checked(await client.send(request, stream=True))
        except ChatError:
            raise
        except Exception as error:
            raise connection_error(error) from error

    async def aclose(self) -> None:
        if self._client.value is not None:
            await self._client.value.aclose()

    async def _open(self) -> Any:
        return await asyncio.to_thread(open_http_client)


class HttpxResponse:
    """A `base.Response` of httpx or httpx2."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._chunks: AsyncGeneratorType[bytes, None] = response.aiter_raw()

    @property
    def has_ended(self) -> bool:
        return bool(self._response.is_closed)

    async def read(self) -> bytes:
        # The first chunk is read in another task than the following ones.
        keep_muted()
        return await anext(self._chunks, b"")

    async def aclose(self) -> None:
        """Close the response. Shielded, since httpcore cannot repeat an interrupted close: see `httpcore_leaks`."""
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        try:
            # After a cancelled read the generator may still be running: it is closing the connection.
            if not self._chunks.ag_running:
                await self._chunks.aclose()
        finally:
            await self._response.aclose()


def open_http_client() -> Any:
    """Make an HTTP client that follows no redirects, and raises a `ProviderError` for what is no answer.

    Call it in a thread: the first call imports the SDK (half a second, 40 MB), and each call reads certificates. Raises
    `ChatNotConfigured` if the environment keeps it from being made, as a proxy of a kind that it does not know.
    """
    openai = import_module("openai")
    try:
        client = _open_http_client(openai)
    except Exception as error:  # ImportError, OSError, httpx.InvalidURL and others; its message may hold a secret.
        reasons = " ".join(environment_problems()) or "Check the variables for proxies and certificates."
        raise ChatNotConfigured(f"The HTTP client cannot be made ({type(error).__name__}). {reasons}") from error
    if shortcuts.is_on("httpcore_leaks") and httpcore_leaks.is_available():
        httpcore_leaks.install(client)
    return client


def _open_http_client(openai: Any) -> Any:
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=None, max_keepalive_connections=MAX_KEPT_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
    )
    return openai.DefaultAsyncHttpxClient(
        event_hooks={"response": [_check_response]}, follow_redirects=False, timeout=None, limits=limits
    )


def to_chat_error(error: Exception) -> ChatError:
    """Map an error of the SDK. Its message is dropped, since it may quote the key and the prompt."""
    openai = import_module("openai")
    if isinstance(error.__cause__, ChatError):  # From `_check_response`: up to openai 2 the SDK wraps it.
        return error.__cause__
    if isinstance(error, openai.APIStatusError):  # From an HTTP client in the options.
        return status_error(error.status_code, error.response.headers, getattr(error, "body", None))
    if isinstance(error, openai.APIConnectionError):
        return connection_error(error)
    return ProviderFailed(f"The openai client raised {type(error).__name__}.")


def _make_client(options: Mapping[str, Any]) -> Any:
    openai = import_module("openai")
    make: Callable[..., Any] = openai.AsyncAzureOpenAI if "azure_endpoint" in options else openai.AsyncOpenAI
    try:
        http_client = options.get("http_client") or open_http_client()
        return make(**{"max_retries": 0, **options, "http_client": http_client})
    except (openai.OpenAIError, TypeError, ValueError) as error:
        raise ChatNotConfigured(f"The openai client cannot be made: {type(error).__name__}: {error}") from error


async def _checked(response: Any) -> Response:
    """Check and return the response: an HTTP client from the options has not checked it."""
    try:
        check_head(response.status_code, response.headers)
    except ProviderError:
        await response.aclose()
        raise
    return HttpxResponse(response)


async def _check_response(response: Any) -> None:
    if not is_answer(response.status_code):
        body = HttpxResponse(response)
        try:
            raise await refuse(response.status_code, response.headers, body.read)
        finally:
            await body.aclose()
    check_head(response.status_code, response.headers)


def _timeout(prompt: Prompt) -> Any:
    """The time limit for connecting. The turn has all other limits."""
    return import_module("openai").Timeout(None, connect=prompt.connect_seconds, pool=prompt.connect_seconds)
