"""The embedded provider: it answers without a model, a key or a network, and tells the user so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from django.core.exceptions import ImproperlyConfigured

from waldur_chat.events import CallRequested, Delta, ProviderEvent, Stopped, Usage
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.offline_tools.results import told
from waldur_chat.providers.offline_tools.steps import next_step

GREETING = "Hello! I am the offline provider of waldur_chat: everything works, but no language model is connected yet."
QUOTE = "\n\nYou wrote:\n\n> {question}"
ADVICE = """

To get real answers, set `OPENAI_BASE_URL` and `OPENAI_API_KEY`, or `WALDUR_CHAT["PROVIDERS"]` in the settings."""
TOOLS = "\n\nI can call the tools of this site, if you name one: {names}."
QUOTED_CHARACTERS = 200


class OfflineProvider(Provider):
    """Answers every prompt with a fixed text and the end of the question, word by word every `delay` seconds.

    Where tools are offered it calls the one whose words are in the question, and shows the result.
    """

    supports_tools = True
    writes_titles = False

    def __init__(self, *, delay: float = 0.01) -> None:
        if not (isinstance(delay, (int, float)) and delay >= 0):
            raise ImproperlyConfigured("delay must be a number of seconds.")
        self._delay = delay

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """Answer the prompt. Usage counts words instead of tokens."""
        step = next_step(prompt)
        words = (step.text if step else told(prompt) or _answer(prompt)).split(" ")
        for index, word in enumerate(words):
            yield Delta(text=f" {word}" if index else word)
            await asyncio.sleep(self._delay)
        if step:
            yield CallRequested(id=f"call{len(prompt.messages):05x}", name=step.tool, arguments=step.arguments)
        yield Usage(
            input_tokens=sum(len(message.text.split()) for message in prompt.messages), output_tokens=len(words)
        )
        yield Stopped(reason="tool_calls" if step else "stop")


def _answer(prompt: Prompt) -> str:
    if prompt.opens:
        return GREETING + ADVICE
    names = ", ".join(f"“{tool.name.replace('_', ' ')}”" for tool in prompt.tools)
    offer = TOOLS.format(names=names) if names else ""
    question = prompt.question.strip().rpartition("\n")[2][:QUOTED_CHARACTERS]
    return GREETING + QUOTE.format(question=question) + offer + ADVICE
