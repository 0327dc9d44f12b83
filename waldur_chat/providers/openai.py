"""The provider for OpenAI-compatible services: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM and others."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS
from waldur_chat.errors import ProviderRefused
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.transport.addresses import check_address, check_key
from waldur_chat.providers.transport.aiohttp_transport import AiohttpTransport
from waldur_chat.providers.transport.base import Response, Transport
from waldur_chat.providers.transport.choice import Choice, choose, first_set
from waldur_chat.providers.transport.sdk import SdkTransport
from waldur_chat.providers.transport.streaming import stream_events

DEFAULT_MODEL = "gpt-4.1-mini"
DEFAULT_ADDRESS = "https://api.openai.com/v1"
PATH = "/chat/completions"
MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")
PLAIN_VARIABLES = {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_LOG", "OPENAI_WEBHOOK_SECRET"}
"""Variables that the SDK reads and that do not require it: they change no request, or are read here as well."""


class OpenAIProvider(Provider):
    """Sends prompts to a chat completions endpoint.

    - `base_url`: the address up to and without `/chat/completions`; by default `OPENAI_BASE_URL`, or OpenAI's own.
    - `api_key`: empty for services without keys. By default it is `OPENAI_API_KEY` where no `base_url` is given, and
      empty where one is: a key is never sent to an address that it was not set for.
    - `model`: the name of the model at the service.
    - `max_output_tokens`: always sent, as `max_completion_tokens` to OpenAI and Azure and as `max_tokens` elsewhere,
      unless `max_tokens_field` names one of the two.
    - `completion`: any of the options of `waldur_chat.conf.completion_options`.
    - `stream_options`: whether to request usage. If a service rejects that, the request is repeated without it.
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
            check_address("base_url", base_url)
        if api_key is not None:
            check_key("api_key", api_key)
        self.model = model
        self._base_url = base_url
        self._api_key = api_key
        self.max_output_tokens = self._limit = max_output_tokens
        self._max_tokens_field = max_tokens_field or self._default_max_tokens_field()
        self._completion = {"model": model, "stream": True, **_completion(completion or {})}
        self._requests_usage = stream_options
        self._usage_is_accepted = False
        self._transport: Transport | None = None

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        return stream_events(partial(self._ask, prompt), ChunkReader())

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def transport_choice(self) -> Choice:
        return choose(self._address(), self._needs_the_sdk())

    async def _ask(self, prompt: Prompt) -> Response:
        """Send the prompt.

        If the service rejects the request, it is repeated without the option for usage, unless the service is known to
        accept that option.
        """
        with_usage = self._requests_usage
        try:
            response = await self._post(prompt, with_usage)
            self._usage_is_accepted = with_usage
            return response
        except ProviderRefused as error:
            if not with_usage or self._usage_is_accepted or error.provider_status not in (400, 422):
                raise
        response = await self._post(prompt, False)
        self._requests_usage = False
        return response

    async def _post(self, prompt: Prompt, with_usage: bool) -> Response:
        self._transport = self._transport or self._make_transport()
        usage = {"stream_options": {"include_usage": True}} if with_usage else {}
        limit = {self._max_tokens_field: min(self._limit, prompt.max_output_tokens or self._limit)}
        messages = [{"role": message.role, "content": message.text} for message in prompt.messages]
        return await self._transport.post({"messages": messages, **usage, **limit, **self._completion}, prompt)

    def _make_transport(self) -> Transport:
        key = self._key()
        if self.transport_choice().name == "aiohttp":
            headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
            return AiohttpTransport(self._address().removesuffix("/") + PATH, headers)
        options = dict(self._client_options)
        if self._base_url:
            options["base_url"] = self._base_url
        sdk_finds_the_key = self._api_key is None and (self._is_azure() or not self._base_url)
        if not sdk_finds_the_key:
            options["api_key"] = self._api_key or "none"
        return SdkTransport(PATH, options, sends_key=sdk_finds_the_key or bool(self._api_key))

    def _needs_the_sdk(self) -> str:
        """Why only the SDK can send the request: its options and variables, or a missing key; empty if others can."""
        if self._client_options:
            return "the option `client` is for the SDK"
        if self._api_key is None and not (self._base_url or self._key()):
            return "there is no key, and the SDK may know another"
        if "?" in self._address():
            return "base_url has a query"
        return first_set(
            sorted(name for name in os.environ if name.startswith("OPENAI_") and name not in PLAIN_VARIABLES)
        )

    def _key(self) -> str:
        """The key to send; empty for services without keys."""
        if self._api_key is None and not self._base_url:
            return os.environ.get("OPENAI_API_KEY", "").strip()
        return self._api_key or ""

    def _address(self) -> str:
        return self._base_url or os.environ.get("OPENAI_BASE_URL", "").strip() or DEFAULT_ADDRESS

    def _is_azure(self) -> bool:
        return "azure_endpoint" in self._client_options

    def _default_max_tokens_field(self) -> str:
        address = self._address()
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
