"""A provider that gives one answer after the other."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.test import override_settings

from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.testing import Script, ScriptedProvider, Step


class InTurnProvider(ScriptedProvider):
    """Answers each prompt with the next of the script's steps, of which one may be several events."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        steps: Any = self._script.steps[len(self._script.prompts)]
        self._script.prompts.append(prompt)
        for step in [steps] if isinstance(steps, str) else steps:
            if isinstance(step, Exception):
                raise step
            yield Delta(text=step) if isinstance(step, str) else step


@contextmanager
def in_turn(*answers: str | Sequence[Step]) -> Iterator[Script]:
    """Let the default provider answer so within the context."""
    script = Script(steps=answers)  # type: ignore[arg-type]
    entry = {"BACKEND": f"{__name__}.InTurnProvider", "OPTIONS": {"script": script}}
    values = {"STORAGE": False, **getattr(settings, "WALDUR_CHAT", {}), "PROVIDERS": {"default": entry}}
    with override_settings(WALDUR_CHAT=values):
        yield script
