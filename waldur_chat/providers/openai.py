"""Everything that speaks OpenAI's chat completions: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM and others.

The SDK is used for its client (addresses, keys, Azure), by the call that it has for requests it does not know. What it
knows of this one would cost more than all the rest of a turn: it looks at each field of each message, and makes an
object of each chunk. Where its first request tells all there is to know, those that follow are made like it.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from importlib import import_module
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS
from waldur_chat.errors import ChatError, ChatNotConfigured, ProviderFailed, ProviderRefused
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers import transport
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.template import RequestTemplate

DEFAULT_MODEL = "gpt-4.1-mini"
MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")
_TOLD = ("Arch", "Async", "Lang", "OS", "Package-Version", "Read-Timeout", "Retry-Count", "Runtime", "Runtime-Version")
TELEMETRY = [f"X-Stainless-{name}" for name in _TOLD]
"""Headers in which the SDK tells of the machine; no service needs them."""
SAME_EACH_TIME = {"organization", "project", "default_headers", "default_query"}
"""Options of the SDK's client with which each request has the same address and headers."""


class OpenAIProvider(Provider):
    """Asks a chat completions endpoint.

    - `base_url`: the address up to and without `/chat/completions`; by default `OPENAI_BASE_URL`, or OpenAI's own.
    - `api_key`: empty for services without keys. By default it is `OPENAI_API_KEY` where no `base_url` is given, and
      empty where one is: a key never goes to an address that it was not set for.
    - `model`: as the service names it.
    - `max_output_tokens`: always sent, as `max_completion_tokens` to OpenAI and Azure and as `max_tokens` elsewhere,
      unless `max_tokens_field` names one of the two.
    - `completion`: any of the options of `waldur_chat.conf.completion_options`.
    - `stream_options`: whether to ask for usage; a service that refuses to be asked is asked again without.
    - `client`: further keyword arguments of the SDK's client (`organization`, `default_headers`, ...). With
      `azure_endpoint` among them it is the SDK's Azure client.
    """

    def __init__(
        self,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        model: str = DEFAULT_MODEL,
        max_output_tokens: int = 4096,
        max_tokens_field: str | None = None,
        completion: Mapping[str, Any] | None = None,
        stream_options: bool = True,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        if max_tokens_field not in (None, *MAX_TOKENS_FIELDS):
            raise ImproperlyConfigured(f"max_tokens_field must be one of {', '.join(MAX_TOKENS_FIELDS)}.")
        if not (type(max_output_tokens) is int and max_output_tokens > 0):
            raise ImproperlyConfigured("max_output_tokens must be a whole number above 0.")
        if not (isinstance(model, str) and model):
            raise ImproperlyConfigured("model must name a model of the service.")
        self._client_options = dict(client or {})
        if base_url is not None:
            transport.check_address("base_url", base_url)
        if api_key is not None:
            transport.check_key("api_key", api_key)
        self.model = model
        self._base_url = base_url
        self._api_key = api_key
        self.max_output_tokens = self._limit = max_output_tokens
        self._max_tokens_field = max_tokens_field or self._usual_max_tokens_field()
        self._completion = {"model": model, "stream": True, **_completion(completion or {})}
        self._asks_usage = stream_options
        self._takes_usage = False
        self._client: Any = None
        self._http_client: Any = None
        self._template: RequestTemplate | None = None
        self._connecting = asyncio.Lock()

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider.stream()."""
        return transport.relay(partial(self._ask, prompt), ChunkReader())

    async def aclose(self) -> None:
        """See Provider.aclose()."""
        if self._client is not None:
            await self._client.close()

    async def _connect(self) -> Any:
        async with self._connecting:
            self._client = self._client or await asyncio.to_thread(self._make_client)
            return self._client

    def _make_client(self) -> Any:
        self._http_client = transport.open_client()
        openai = import_module("openai")
        options: dict[str, Any] = {"max_retries": 0, "http_client": self._http_client, **self._client_options}
        if self._base_url:
            options["base_url"] = self._base_url
        if self._api_key or not self._sdk_finds_the_key():
            options["api_key"] = self._api_key or "none"
        try:
            return (openai.AsyncAzureOpenAI if self._is_azure() else openai.AsyncOpenAI)(**options)
        except (openai.OpenAIError, TypeError, ValueError) as error:
            raise ChatNotConfigured(f"The openai client cannot be made: {type(error).__name__}: {error}") from error

    async def _ask(self, prompt: Prompt) -> transport.Response:
        """Send the prompt; give the response, whose body was not read yet.

        A service that refuses the request is asked again without being asked for usage, until it is known to take that.
        """
        client = await self._connect()
        asks_usage = self._asks_usage
        try:
            response = await self._request(client, prompt, asks_usage)
            self._takes_usage = asks_usage
            return response
        except ProviderRefused as error:
            if not asks_usage or self._takes_usage or error.provider_status not in (400, 422):
                raise
        response = await self._request(client, prompt, False)
        self._asks_usage = False
        return response

    async def _request(self, client: Any, prompt: Prompt, asks_usage: bool) -> transport.Response:
        """The response to one request. Whether the SDK wraps what our HTTP client raises depends on its release."""
        openai = import_module("openai")
        usage = {"stream_options": {"include_usage": True}} if asks_usage else {}
        limit = {self._max_tokens_field: min(self._limit, prompt.max_output_tokens or self._limit)}
        messages = [{"role": message.role, "content": message.text} for message in prompt.messages]
        body = {"messages": messages, **usage, **limit, **self._completion}
        try:
            if self._template:
                return await self._template.send(body, prompt)
            return await self._request_by_sdk(openai, client, body, prompt)
        except ChatError:
            raise
        except openai.OpenAIError as error:
            raise _translated(openai, error) from error
        except Exception as error:  # aiohttp's own.
            raise transport.broken(error) from error

    async def _request_by_sdk(
        self, openai: Any, client: Any, body: dict[str, Any], prompt: Prompt
    ) -> transport.Response:
        own = transport.request_id(prompt)
        headers: dict[str, Any] = {**dict.fromkeys(TELEMETRY, openai.Omit()), "Accept-Encoding": "identity", **own}
        if not (self._api_key or self._sdk_finds_the_key()):
            headers["Authorization"] = openai.Omit()
        response = await client.post(
            "/chat/completions",
            body=body,
            cast_to=transport.response_class(),
            options={"headers": headers, "timeout": transport.timeout(prompt)},
            stream=True,
            stream_cls=openai.AsyncStream,
        )
        if self._client_options.keys() <= SAME_EACH_TIME:
            self._template = RequestTemplate(self._http_client, response.request, own)
        transport.forget_request(response)
        return cast("transport.Response", response)

    def _is_azure(self) -> bool:
        return "azure_endpoint" in self._client_options

    def _sdk_finds_the_key(self) -> bool:
        """Whether the key was left to the SDK, which has its own options and environment variables for it."""
        return self._api_key is None and (self._is_azure() or not self._base_url)

    def _usual_max_tokens_field(self) -> str:
        address = self._base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return MAX_TOKENS_FIELDS[self._is_azure() or "//api.openai.com" in address or ".azure.com" in address]


def _completion(options: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        raise ImproperlyConfigured("completion must be a dict.")
    if unknown := set(options) - COMPLETION_OPTIONS - FURTHER_COMPLETION_OPTIONS:
        allowed = ", ".join(sorted(COMPLETION_OPTIONS | FURTHER_COMPLETION_OPTIONS))
        raise ImproperlyConfigured(f"completion: {min(unknown, key=str)!r} is not allowed. It takes {allowed}.")
    for name, value in options.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ImproperlyConfigured(f"completion: {name!r} must be something that JSON can hold.") from error
    return dict(options)


def _translated(openai: Any, error: Exception) -> ChatError:
    """The SDK's error as one of ours. The SDK's messages may quote the key and the prompt, so they stay behind."""
    if isinstance(error.__cause__, ChatError):
        return error.__cause__
    if isinstance(error, openai.APIStatusError):  # Of an HTTP client that is not ours.
        return transport.refusal(error.status_code, error.response.headers)
    if isinstance(error, openai.APIConnectionError):
        return transport.broken(error)
    return ProviderFailed(f"The openai client raised {type(error).__name__}.")
