"""What some services do not take: as configured, or until they refuse it."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from functools import cache

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.errors import ProviderError
from waldur_chat.messages import Prompt
from waldur_chat.providers.openai_messages import tools_of
from waldur_chat.schemas.answers import without_schema

logger = logging.getLogger(__name__)


class Feature(ABC):
    """A part of prompts; `configured` says whether the service takes it, None if that is to be found out.

    A refusal is remembered for as long as the provider lives. `refused` is logged then, with the name of the model.
    """

    name: str
    refused: str

    def __init__(self, configured: bool | None, model: str) -> None:
        if not (configured is None or isinstance(configured, bool)):
            raise ImproperlyConfigured(f"{self.name} must be True, False or None.")
        self._learns = configured is None
        self._model = model
        self.is_there = configured is not False

    @abstractmethod
    def is_refused(self, prompt: Prompt, error: ProviderError) -> bool:
        """Whether the prompt has it, and the error is about it."""

    @abstractmethod
    def without(self, prompt: Prompt) -> Prompt:
        """The prompt without it."""

    def may_be_to_blame(self, prompt: Prompt, error: ProviderError) -> bool:
        """Whether the prompt may be answered `without()` it. If it is, call `learn()`."""
        return self._learns and self.is_refused(prompt, error)

    def learn(self, prompt: Prompt, error: ProviderError) -> None:
        """Remember that the service has answered this prompt, but only without it."""
        self.is_there = False
        _warn(self.refused, self._model)


class ToolSupport(Feature):
    """Tools. A prompt that only forbids to call them may be refused for that."""

    name = "tools"
    refused = (
        "The service of the model %s refuses tools; the chat goes on without them. vLLM needs the options "
        "--enable-auto-tool-choice and --tool-call-parser, llama.cpp --jinja, Ollama and others a model with tools."
    )

    def is_refused(self, prompt: Prompt, error: ProviderError) -> bool:
        return bool(error.refuses_tools) and bool(tools_of(prompt))

    def without(self, prompt: Prompt) -> Prompt:
        return prompt.without_calls()

    def learn(self, prompt: Prompt, error: ProviderError) -> None:
        if prompt.tools and prompt.tool_choice == "auto":
            super().learn(prompt, error)


class JsonSchemaSupport(Feature):
    """The schema of the answer, in `response_format`. A service may refuse a single schema."""

    name = "json_schema"
    refused = "The service of the model %s refuses JSON Schemas in response_format; the system prompt has them instead."

    def is_refused(self, prompt: Prompt, error: ProviderError) -> bool:
        return bool(error.refuses_json_schema) and prompt.answer_schema is not None

    def without(self, prompt: Prompt) -> Prompt:
        return without_schema(prompt)

    def learn(self, prompt: Prompt, error: ProviderError) -> None:
        if error.refuses_json_schema == "service":
            super().learn(prompt, error)


@cache
def _warn(message: str, model: str) -> None:
    """Log it, once per process and model."""
    logger.warning(message, model)
