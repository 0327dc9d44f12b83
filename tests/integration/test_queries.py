"""The number of queries of a request does not grow with what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests.integration.chatting import settled
from tests.integration.counting import counted
from tests.integration.rights import Case, World, cases
from tests.integration.stored import thread_of
from waldur_chat.models import Message, SystemPrompt
from waldur_chat.store.conversations import system_prompts

WHO = ("owner", "staff")
READ = [case.param() for case in cases() if case.who in WHO and case.method == "GET" and case.status == 200
        and "export" not in case.path]  # fmt: skip  # Which reads one conversation at a time, see `test_export`.
ASKED = [case.param() for case in cases() if case.who == "owner" and case.asks and "edit" not in case.body]


@pytest.fixture(autouse=True)
def stores(settings: Any) -> None:
    """Conversations are stored."""
    settings.WALDUR_CHAT = {"STORAGE": True}


def fill(world: World, count: int) -> None:
    """Store more of everything: conversations, messages and versions of them, sessions, prompts."""
    for thread in (world.mine, world.theirs):
        first = Message.objects.get(thread=thread, sequence_index=0)
        for index in range(count):
            role = Message.Role.ASSISTANT if index % 2 else Message.Role.USER
            Message.objects.create(thread=thread, role=role, text="a", sequence_index=index + 2)
            Message.objects.create(thread=thread, text="a", sequence_index=0, is_current=False, replaces=first)
    for index in range(count):
        thread_of(world.caller.user, "Hello", "Hi")
        thread_of(get_user_model().objects.create_user(f"user{index}"), "Hello", "Hi")
        system_prompts.change(world.prompt, world.caller.user, custom_instructions=str(index))
        system_prompts.create(world.caller.user, name=str(index))


def clear() -> None:
    """Delete all that is stored."""
    SystemPrompt.objects.all().delete()
    get_user_model().objects.all().delete()


def statements(case: Case, count: int) -> int:
    """How many the request has where so much more is stored, with those of the threads that store its answer."""
    world = World(case.who)
    fill(world, count)
    named = world.uuids()
    with counted() as waiting:
        settled()
    with counted() as found:
        status, _ = world.send(case, named)
        settled()
    assert status == case.status
    return len([one for one in found if one not in waiting])


@pytest.mark.parametrize("case", READ + ASKED)
def test_it_does_not_grow(case: Case) -> None:
    few = statements(case, 2)  # Even numbers, so that the assistant has the last word.
    clear()
    assert 0 < statements(case, 30) <= few  # The first may open connections.
