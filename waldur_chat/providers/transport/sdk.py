"""The transport for everything that is not plain: what the openai SDK brings, by its public API.

The SDK stands on httpx up to version 2 and on httpx2 from 3 on. Its HTTP client is made by the SDK's own class, so that
nothing of ours imports either of them. Chunks are read as bytes, since the SDK's objects cost more than all the rest of
a turn.
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
    KEEPALIVE_SECONDS,
    MAX_KEPT_CONNECTIONS,
    Opened,
    Response,
    request_id,
)
from waldur_chat.providers.transport.errors import check_head, connection_error, status_error
from waldur_chat.providers.transport.logs import keep_muted, mute_client_logs
from waldur_chat.runtime import shortcuts

_TOLD = ("Arch", "Async", "Lang", "OS", "Package-Version", "Read-Timeout", "Retry-Count", "Runtime", "Runtime-Version")
TELEMETRY = [f"X-Stainless-{name}" for name in _TOLD]
"""Headers in which the SDK tells of the machine; no service needs them."""


class SdkTransport:
    """See base.Transport. Posts with a client of the SDK to a path below its address.

    `options` are the client's keyword arguments; with `azure_endpoint` among them it is the one for Azure. `sends_key`
    is false for services without keys: the SDK does not go without one, so its header is left out.
    """

    def __init__(self, path: str, options: Mapping[str, Any], *, sends_key: bool = True) -> None:
        self._path = path
        self._options = options
        self._sends_key = sends_key
        self._client: Opened[Any] = Opened(self._open)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        """See base.Transport."""
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
            raise translated(error) from error
        except ChatError:
            raise
        except Exception as error:
            raise connection_error(error) from error
        return await _checked(stream.response)

    async def aclose(self) -> None:
        """See base.Transport."""
        if self._client.value is not None:
            await self._client.value.close()

    async def _open(self) -> Any:
        return await asyncio.to_thread(_make_client, self._options)

    def _headers(self, openai: Any, prompt: Prompt) -> dict[str, Any]:
        left_out = [*TELEMETRY, *([] if self._sends_key else ["Authorization"])]
        return {**dict.fromkeys(left_out, openai.Omit()), "Accept-Encoding": "identity", **request_id(prompt)}


class HttpClientTransport:
    """See base.Transport. Posts to one address with the SDK's HTTP client alone, for services that are not OpenAI's.

    The SDK's own client would tell them what it finds in the environment for OpenAI: an organization, further headers.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._client: Opened[Any] = Opened(self._open)

    async def post(self, body: Mapping[str, Any], prompt: Prompt) -> Response:
        """See base.Transport."""
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
        """See base.Transport."""
        if self._client.value is not None:
            await self._client.value.aclose()

    async def _open(self) -> Any:
        return await asyncio.to_thread(open_http_client)


class HttpxResponse:
    """See base.Response: a response of httpx or httpx2."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._pieces: AsyncGeneratorType[bytes, None] = response.aiter_raw()

    @property
    def has_ended(self) -> bool:
        """See base.Response."""
        return bool(self._response.is_closed)

    async def read(self) -> bytes:
        """See base.Response."""
        keep_muted()  # The first piece is read in another task than those that follow.
        return await anext(self._pieces, b"")

    async def aclose(self) -> None:
        """See base.Response.

        Shielded, since httpcore does not go on with closing where its task is cancelled meanwhile: see httpcore_leaks.
        """
        await asyncio.shield(self._close())

    async def _close(self) -> None:
        try:
            if not self._pieces.ag_running:  # A read that was cancelled may be closing the connection still.
                await self._pieces.aclose()
        finally:
            await self._response.aclose()


def open_http_client() -> Any:
    """A new HTTP client that follows no redirect, and raises a `ProviderError` for every response but a plain 200.

    It imports the SDK (half a second and 40 MB at the first call) and reads certificates: call it in a thread.
    """
    openai = import_module("openai")
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
        max_connections=None, max_keepalive_connections=MAX_KEPT_CONNECTIONS, keepalive_expiry=KEEPALIVE_SECONDS
    )
    client = openai.DefaultAsyncHttpxClient(
        event_hooks={"response": [_check_response]}, follow_redirects=False, timeout=None, limits=limits
    )
    if shortcuts.is_on("httpcore_leaks") and httpcore_leaks.is_available():
        httpcore_leaks.install(client)
    return client


def translated(error: Exception) -> ChatError:
    """The SDK's error as one of ours. The SDK's messages may quote the key and the prompt, so they stay behind."""
    openai = import_module("openai")
    if isinstance(error.__cause__, ChatError):  # Of our HTTP client: up to openai 2 the SDK wraps what that raises.
        return error.__cause__
    if isinstance(error, openai.APIStatusError):  # Of an HTTP client that is not ours.
        return status_error(error.status_code, error.response.headers)
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
    """The response to be read; an HTTP client of the site's own, among the options, has not checked it."""
    try:
        check_head(response.status_code, response.headers)
    except ProviderError:
        await response.aclose()
        raise
    return HttpxResponse(response)


async def _check_response(response: Any) -> None:
    check_head(response.status_code, response.headers)


def _timeout(prompt: Prompt) -> Any:
    """The time limit of connecting. All others are the turn's own."""
    return import_module("openai").Timeout(None, connect=prompt.connect_seconds, pool=prompt.connect_seconds)
