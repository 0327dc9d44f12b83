"""The provider for OpenAI-compatible services: OpenAI, Azure, vLLM, Ollama, llama.cpp, LiteLLM and others."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.conf.completion_options import COMPLETION_OPTIONS, FURTHER_COMPLETION_OPTIONS
from waldur_chat.errors import ProviderError, ProviderRefused, ProviderRefusedQuestion
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.dialects.ends import StopReasons
from waldur_chat.providers.dialects.leading_thoughts import ThoughtSplitter
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.providers.openai_features import Feature, JsonSchemaSupport, ToolSupport
from waldur_chat.providers.openai_messages import messages_of, prompt_tools, response_format_of, tools_of
from waldur_chat.providers.transport.addresses import check_address, check_key
from waldur_chat.providers.transport.aiohttp_transport import AiohttpTransport
from waldur_chat.providers.transport.base import Response, Transport
from waldur_chat.providers.transport.choice import Choice, choose, first_set
from waldur_chat.providers.transport.sdk import SdkTransport
from waldur_chat.providers.transport.streaming import stream_events
from waldur_chat.wire.sse_decoder import event_limit

DEFAULT_MODEL = "gpt-4.1-mini"
DEFAULT_ADDRESS = "https://api.openai.com/v1"
PATH = "/chat/completions"
MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")
REASONING_STARTS = (None, "open", "tag")
PLAIN_ANSWERS = 3
"""So many answers in a row without an end tag end the expectation that answers begin with thoughts."""

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
    - `context_tokens`: the context of the model, for prompt and answer together; histories are shortened to fit.
      Without it the size is learnt when the service refuses a prompt as too long, and names it.
    - `completion`: any of the options of `waldur_chat.conf.completion_options`.
    - `stream_options`: whether to request usage. If a service rejects that, the request is repeated without it.
    - `reasoning_starts`: how thoughts begin that the model writes into its text: "tag" with `<think>` or `<thinking>`;
      "open" without it, since the template of the model has written it, so that the text is thoughts up to the end tag.
      None means a tag, until an answer shows that it is missing.
    - `tools`: whether the service takes tools. None means that it does, until it refuses them.
    - `json_schema`: whether the service takes the schema of an answer (`response_format`). None is the same as above.
    - `calls_in_text`: whether calls that the model writes into its text are calls: for servers that do not know the
      model's own way to write them.
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
        context_tokens: int | None = None,
        completion: Mapping[str, Any] | None = None,
        stream_options: bool = True,
        reasoning_starts: str | None = None,
        tools: bool | None = None,
        json_schema: bool | None = None,
        calls_in_text: bool = False,
        client: Mapping[str, Any] | None = None,
    ) -> None:
        if max_tokens_field not in (None, *MAX_TOKENS_FIELDS):
            raise ImproperlyConfigured(f"max_tokens_field must be one of {', '.join(MAX_TOKENS_FIELDS)}.")
        if not (type(max_output_tokens) is int and max_output_tokens > 0):
            raise ImproperlyConfigured("max_output_tokens must be a whole number above 0.")
        if context_tokens is not None and not (type(context_tokens) is int and context_tokens > 0):
            raise ImproperlyConfigured("context_tokens must be a whole number above 0.")
        if not (isinstance(model, str) and model):
            raise ImproperlyConfigured("model must name a model of the service.")
        if reasoning_starts not in REASONING_STARTS:
            raise ImproperlyConfigured('reasoning_starts must be "open", "tag" or None.')
        if not isinstance(calls_in_text, bool):
            raise ImproperlyConfigured("calls_in_text must be True or False.")
        self._client_options = dict(client or {})
        if base_url is not None:
            check_address("base_url", base_url)
        if api_key is not None:
            check_key("api_key", api_key)
        self.model = model
        self._base_url = base_url
        self._api_key = api_key
        self.max_output_tokens = self._limit = max_output_tokens
        self.context_tokens = context_tokens
        self._max_tokens_field = max_tokens_field or self._default_max_tokens_field()
        self._completion = {"model": model, "stream": True, **_completion(completion or {})}
        self._requests_usage = stream_options
        self._usage_is_accepted = False
        self._starts_open = reasoning_starts == "open"
        self._learns_start = reasoning_starts is None
        self._plain_answers = 0
        self._tools = ToolSupport(tools, model)
        self._json_schema = JsonSchemaSupport(json_schema, model)
        self._note_features()
        self._calls_in_text = calls_in_text
        self._reasons = StopReasons(model)
        self._transport: Transport | None = None

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        splitter = ThoughtSplitter(
            starts_open=self._starts_open,
            is_certain=self._starts_open and not self._learns_start,
            on_unopened=partial(self._learn_start, True),
            on_open_answer=partial(self._learn_start, False),
        )
        tools = prompt_tools(prompt, in_text=self._calls_in_text)
        reader = ChunkReader(splitter, self._reasons, event_limit(prompt.answer_max_length), tools)
        return stream_events(partial(self._ask, prompt), reader)

    async def aclose(self) -> None:
        if self._transport is not None:
            await self._transport.aclose()

    def transport_choice(self) -> Choice:
        return choose(self._address(), self._needs_the_sdk())

    async def _ask(self, prompt: Prompt) -> Response:
        """Send the prompt; without its tools or its schema if the service refuses these, unless they are configured."""
        refused: list[tuple[Feature, Prompt, ProviderError]] = []
        while True:
            try:
                response = await self._ask_with_usage(prompt)
                break
            except ProviderError as error:
                features: tuple[Feature, ...] = (self._tools, self._json_schema)
                feature = next((one for one in features if one.may_be_to_blame(prompt, error)), None)
                if feature is None:
                    raise
                refused.append((feature, prompt, error))
            prompt = feature.without(prompt)
        for feature, refused_prompt, refusal in refused:
            feature.learn(refused_prompt, refusal)
        self._note_features()
        return response

    def _note_features(self) -> None:
        self.supports_tools = self._tools.is_there
        self.supports_json_schema = self._json_schema.is_there

    async def _ask_with_usage(self, prompt: Prompt) -> Response:
        """Send the prompt.

        If the service rejects the request, and does not say that another reason is to blame, it is repeated without the
        option for usage, unless the service is known to accept that option.
        """
        with_usage = self._requests_usage
        try:
            response = await self._post(prompt, with_usage)
            self._usage_is_accepted = with_usage
            return response
        except (ProviderRefused, ProviderRefusedQuestion) as error:
            may_be_the_option = error.provider_status in (400, 422) and error.about in ("", "parameter")
            is_another = error.refuses_tools or error.refuses_json_schema
            if not with_usage or self._usage_is_accepted or not may_be_the_option or is_another:
                raise
        response = await self._post(prompt, False)
        self._requests_usage = False
        return response

    def _learn_start(self, is_open: bool) -> None:
        """Note whether an answer began with thoughts without an opening tag, unless that is configured.

        After a few that did not, it was not the template: the model wrote of such tags.
        """
        self._plain_answers = 0 if is_open else self._plain_answers + 1
        if self._learns_start:
            self._starts_open = self._plain_answers < PLAIN_ANSWERS and (is_open or self._starts_open)

    async def _post(self, prompt: Prompt, with_usage: bool) -> Response:
        self._transport = self._transport or self._make_transport()
        usage = {"stream_options": {"include_usage": True}} if with_usage else {}
        limit = {self._max_tokens_field: min(self._limit, prompt.max_output_tokens or self._limit)}
        messages = {"messages": messages_of(prompt), **tools_of(prompt), **response_format_of(prompt)}
        return await self._transport.post({**messages, **usage, **limit, **self._completion}, prompt)

    def _make_transport(self) -> Transport:
        key = self._key()
        if self.transport_choice().name == "aiohttp":
            headers = {"Authorization": f"Bearer {key}"} if key else {}
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
