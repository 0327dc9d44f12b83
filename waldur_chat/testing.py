"""For the tests of sites that use the chat: a provider that follows a script and counts its streams.

with scripted("Hello", " world") as provider:
    response = client.post("/api/chat/invoke/")
assert provider.prompts[0].question == "..."
assert provider.opened == provider.closed == 1
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from django.conf import settings
from django.test import override_settings

from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider

Step = str | float | Exception | ProviderEvent


@dataclass(slots=True, kw_only=True, eq=False)
class Script:
    """The script of a provider, and a record of its calls.

    A step is a text, a pause in seconds, an exception to raise, or any event of a provider. `prompts` are those that it
    received, `opened` and `closed` count its streams.
    """

    steps: Sequence[Step]
    prompts: list[Prompt] = field(default_factory=list)
    opened: int = 0
    closed: int = 0


class ScriptedProvider(Provider):
    """Follows a script. Settings name the class by its path, with the script as its only option."""

    writes_titles = False

    def __init__(self, *, script: Script) -> None:
        self._script = script

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        self._script.prompts.append(prompt)
        self._script.opened += 1
        try:
            for step in self._script.steps:
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
