"""For the tests of sites that use the chat: a provider that follows a script and counts its streams.

with scripted("Hello", " world") as provider:
    response = client.post("/api/chat/invoke/")
assert provider.prompts[0].question == "..."
assert provider.opened == provider.closed == 1

A script may call tools: what follows `Calls` is said when their results are there.

with scripted(Calls(("list_projects", {"page": 1})), "You have one project.") as provider:
    ...
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.test import override_settings

from waldur_chat.events import CallRequested, Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider


class Calls:
    """A step that asks for calls of tools, side by side: pairs of a tool's name and its arguments."""

    def __init__(self, *calls: tuple[str, Mapping[str, Any]]) -> None:
        self._calls = calls

    def events(self, number: int) -> Iterator[CallRequested]:
        """The requests of the step with this number."""
        for index, (name, arguments) in enumerate(self._calls):
            yield CallRequested(id=f"call{number % 256:02x}{index:03x}", name=name, arguments=json.dumps(arguments))


Said = str | float | Exception | ProviderEvent
Step = Said | Calls


@dataclass(slots=True, kw_only=True, eq=False)
class Script:
    """The script of a provider, and a record of its calls.

    A step is a text, a pause in seconds, an exception to raise, calls of tools, or any event of a provider. `prompts`
    are those that it received, `opened` and `closed` count its streams.

    A stream ends with its first calls. A prompt with their results is answered by the steps after them, and any prompt
    with more results than there are calls by the steps after the last.
    """

    steps: Sequence[Step]
    prompts: list[Prompt] = field(default_factory=list)
    opened: int = 0
    closed: int = 0

    def steps_for(self, prompt: Prompt) -> Iterator[Said]:
        """The steps that answer this prompt, with the events of calls in their place."""
        ends = [at for at, step in enumerate(self.steps) if isinstance(step, Calls)]
        number = min(_rounds(prompt), len(ends))
        begin = ends[number - 1] + 1 if number else 0
        for step in self.steps[begin:]:
            if isinstance(step, Calls):
                yield from step.events(number)
                return
            yield step


def _rounds(prompt: Prompt) -> int:
    """How often the question was already answered by calls."""
    messages = prompt.messages
    question = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    return sum(bool(message.calls) for message in messages[question:])


class ScriptedProvider(Provider):
    """Follows a script. Settings name the class by its path, with the script as its only option."""

    writes_titles = False
    supports_tools = True

    def __init__(self, *, script: Script) -> None:
        self._script = script

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        self._script.prompts.append(prompt)
        self._script.opened += 1
        try:
            for step in self._script.steps_for(prompt):
                match step:
                    case str():
                        yield Delta(text=step)
                    case int() | float():
                        await asyncio.sleep(step)
                    case Exception():
                        raise step
                    case _:
                        yield step
        finally:
            self._script.closed += 1


@contextmanager
def scripted(*steps: Step) -> Iterator[Script]:
    """Let the default provider follow these steps within the context.

    Nothing is stored unless the site's own settings say so: another thread stores answers, and does not see the
    transaction that Django wraps around a `TestCase`. Tests of storage need a `TransactionTestCase`.
    """
    script = Script(steps=steps)
    entry = {"BACKEND": "waldur_chat.testing.ScriptedProvider", "OPTIONS": {"script": script}}
    values = {"STORAGE": False, **getattr(settings, "WALDUR_CHAT", {}), "PROVIDERS": {"default": entry}}
    with override_settings(WALDUR_CHAT=values):
        yield script
