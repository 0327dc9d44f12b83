"""A provider for tests that need many addresses: a question `at:https://...` is put to the service at that address."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai import OpenAIProvider

IN_THE_QUESTION = "at:"


class AddressedProvider(Provider):
    """Takes the options of `OpenAIProvider`, and asks `base_url` every question that names no address."""

    def __init__(self, *, base_url: str, **options: Any) -> None:
        self._usual = base_url
        self._options = options
        self._providers: dict[str, OpenAIProvider] = {}

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider.stream()."""
        question = prompt.messages[-1].text
        named = question.startswith(IN_THE_QUESTION)
        address = question.removeprefix(IN_THE_QUESTION) if named else self._usual
        if address not in self._providers:
            self._providers[address] = OpenAIProvider(base_url=address, **self._options)
        async with aclosing(self._providers[address].stream(prompt)) as events:
            async for event in events:
                yield event

    async def aclose(self) -> None:
        """See Provider.aclose()."""
        for provider in self._providers.values():
            await provider.aclose()
