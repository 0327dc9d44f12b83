"""Asks a scripted model that writes titles too, and waits until what it left behind is stored."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any

from django.conf import settings
from django.test import override_settings

from waldur_chat.events import ProviderEvent, Usage
from waldur_chat.messages import Prompt
from waldur_chat.models import Thread, Turn
from waldur_chat.testing import Script, ScriptedProvider, Step
from waldur_chat.turns import titles

USAGE = Usage(input_tokens=7, output_tokens=5)


class WaitingProvider(ScriptedProvider):
    """Follows a script in which an event of threads is a step, too: it is waited for."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        async with aclosing(super().stream(prompt)) as steps:
            async for step in steps:
                if isinstance(step, threading.Event):
                    while not step.is_set():  # noqa: ASYNC110  # It belongs to another thread.
                        await asyncio.sleep(0.005)
                else:
                    yield step


@contextmanager
def waiting(*steps: Step | threading.Event) -> Iterator[Script]:
    """Let the default provider follow these steps; see `scripted()` and `WaitingProvider`."""
    script = Script(steps=steps)  # type: ignore[arg-type]
    entry = {"BACKEND": "tests.integration.chatting.WaitingProvider", "OPTIONS": {"script": script}}
    with override_settings(WALDUR_CHAT={**getattr(settings, "WALDUR_CHAT", {}), "PROVIDERS": {"default": entry}}):
        yield script


class TitlingProvider(WaitingProvider):
    """Follows one script for answers and another for titles."""

    writes_titles = True
    max_output_tokens = 1000

    def __init__(self, *, script: Script, title: Script) -> None:
        super().__init__(script=script)
        self._titling = WaitingProvider(script=title)

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        is_title = prompt.question.startswith(titles.ASK)
        return self._titling.stream(prompt) if is_title else super().stream(prompt)


@contextmanager
def titling(*title: Step | threading.Event, answer: Sequence[Step | threading.Event] = ("Hello",)) -> Iterator[Script]:
    """Let the default provider answer, and find titles so; gives the script of the titles."""
    script = Script(steps=title)  # type: ignore[arg-type]
    options = {"script": Script(steps=answer), "title": script}  # type: ignore[arg-type]
    entry = {"BACKEND": "tests.integration.chatting.TitlingProvider", "OPTIONS": options}
    own = {**getattr(settings, "WALDUR_CHAT", {}), "PROVIDERS": {"default": entry}}
    with override_settings(WALDUR_CHAT=own):
        yield script


def until(condition: Callable[[], Any], seconds: float = 10) -> Any:
    """Wait for a condition, which some other thread makes true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def settled() -> None:
    """Wait until no turn runs any more."""
    until(lambda: not Turn.objects.filter(status=Turn.Status.RUNNING).exists())


def only_thread() -> Thread:
    """The one conversation that there is, once no turn runs any more."""
    settled()
    return Thread.objects.get()
