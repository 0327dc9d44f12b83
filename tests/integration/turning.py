"""Asks within conversations, and tells what is stored of them."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat import chat
from waldur_chat.engine.turn import Turn
from waldur_chat.events import Event, StoredMessages
from waldur_chat.messages import Prompt, Question
from waldur_chat.models import Message, Thread
from waldur_chat.runtime.loop import background_loop

Said = tuple[int, str, str, bool]


def prepare(user: Any, text: str | None = None, **question: Any) -> Turn:
    """A turn of the user that was written, but not started."""
    return chat.prepare(Question(text=text, **question), chat.load(), user=user)


def begin(user: Any, text: str | None = None, **question: Any) -> Turn:
    """See prepare(); it runs, and its provider has begun to answer."""
    turn = prepare(user, text, **question)
    turn.start(background_loop())
    assert turn.take_blocking(10)
    return turn


def ask(user: Any, text: str | None = None, **question: Any) -> list[Event]:
    """All events of a turn of the user."""
    return finish(prepare(user, text, **question))


def finish(turn: Turn) -> list[Event]:
    """All events of a turn that were not taken yet; it is started where that was not done."""
    if turn._loop is None:
        turn.start(background_loop())
    events: list[Event] = []
    while not chat.ended(events):
        events += turn.take_blocking(10)
    return events


def stored(events: list[Event]) -> StoredMessages:
    """Where the turn of these events is stored."""
    found = getattr(events[-1], "stored", None)
    assert isinstance(found, StoredMessages)
    return found


def said(thread: Thread) -> list[Said]:
    """All that is stored of a conversation, version by version: index, role, text, whether it is in force."""
    rows = Message.objects.filter(thread=thread).order_by("sequence_index", "id")
    return list(rows.values_list("sequence_index", "role", "text", "is_current"))


def asked(prompt: Prompt) -> list[tuple[str, str]]:
    """What the model was told."""
    return [(message.role, message.text) for message in prompt.messages]


@pytest.fixture
def stores(settings: Any) -> Any:
    """A site that stores conversations, and which a test may set up further."""
    settings.WALDUR_CHAT = {"STORAGE": True, "ATTEMPTS": 1}
    return settings
