"""A site whose model calls tools, and the tools that it has, besides the views of its host."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model

from tests.unit.rounds import Rounds, rounds
from waldur_chat.events import CallRequested
from waldur_chat.testing import Step
from waldur_chat.tools import ToolContext, ToolResult, tool

ALONE: list[str] = []
"""What happened, in order."""
MEETING = threading.Barrier(2, timeout=10)
BEGUN, MAY_END = threading.Event(), threading.Event()


@tool(safe=True, trusted=True)
def who(context: ToolContext) -> str:
    """Says who asks."""
    return context.user.get_username()


@tool(safe=True)
def meet(number: int) -> int:
    """Returns when it is called twice at once."""
    MEETING.wait()
    return number


@tool(approval="never")
async def write(word: str) -> ToolResult:
    """Writes a word, which takes a while."""
    ALONE.append(f"{word} begins")
    await asyncio.sleep(0.01)
    ALONE.append(f"{word} ends")
    return ToolResult(summary=f"Wrote {word}.", data={"x": "y" * 100}, ui_component="resource_list", ui_data={"a": 1})


@tool
def delete() -> None:
    """Needs approval, and never runs."""
    raise AssertionError


@tool(safe=True)
def fail() -> None:
    """Breaks, with words that nobody may see."""
    raise ZeroDivisionError("sk-secret")


@tool(safe=True)
async def wait() -> str:
    """Waits until somebody says so."""
    BEGUN.set()
    await sync_to_async(MAY_END.wait, thread_sensitive=False)(10)
    return "late"


@tool(approval="never")
def rename(context: ToolContext, name: str) -> str:
    """Changes a row of the host."""
    get_user_model().objects.filter(pk=context.user.pk).update(first_name=name)
    return context.call


@tool(safe=True)
def half() -> str:
    """Returns half of a character, as what was cut in another program does."""
    return "a\ud83d"


TOOLS = {one.name: {"BACKEND": f"{__name__}.{one.name}"} for one in (who, meet, write, delete, fail, wait, rename)}


def call(number: int, name: str, arguments: str = "{}", **fields: Any) -> CallRequested:
    """A call of this tool."""
    return CallRequested(id=f"call{number:05}", name=name, arguments=arguments, **fields)


def unframed(text: str) -> str:
    """A result without the marks around it."""
    return re.sub(r"\A\[Data ([\w-]+): [^\]]+\]\n(.*)\n\[End of data \1\]\Z", r"\2", text, flags=re.DOTALL)


@pytest.fixture
def model(settings: Any) -> Any:
    """Sets the site up: `model([steps of the first round], [of the second], ...)`."""

    def set_up(*steps: list[Step], **others: Any) -> Rounds:
        said = rounds(*steps)
        provider = {"BACKEND": "tests.unit.rounds.RoundsProvider", "OPTIONS": {"rounds": said}}
        values = {"STORAGE": True, "ATTEMPTS": 1, "TOOLS": TOOLS, "PROVIDERS": {"default": provider}, **others}
        settings.WALDUR_CHAT = values
        return said

    ALONE.clear()
    BEGUN.clear()
    MAY_END.clear()
    return set_up
