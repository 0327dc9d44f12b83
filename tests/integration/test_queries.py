"""The number of queries of a request does not grow with what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from tests.integration.chatting import settled
from tests.integration.counting import counted
from tests.integration.rights import Case, World, cases, clear
from tests.integration.stored import thread_of
from waldur_chat.models import Message
from waldur_chat.store.conversations import system_prompts

WHO = ("owner", "staff")
READ = [case for case in cases() if case.who in WHO and case.method == "GET" and case.status == 200
        and "export" not in case.path
        and not case.is_public]  # fmt: skip  # Which reads one conversation at a time, see `test_export`.
ASKED = [case for case in cases() if case.who == "owner" and case.asks and "edit" not in case.body]


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


def statements(tried: list[Case], world: World) -> list[int]:
    """How many each of these requests has."""
    named = world.uuids()
    return [statements_of(case, world, named) for case in tried]


def statements_of(case: Case, world: World, named: dict[str, str]) -> int:
    """How many the request has, with those of the threads that store its answer."""
    with counted() as waiting:
        settled()
    with counted() as found:
        status, _ = world.send(case, named)
        settled()
    assert status == case.status
    return len([one for one in found if one not in waiting])


def grown(tried: list[Case], few: World, many: int = 30) -> list[str]:
    """Which of these requests have more statements where so much more is stored, each after those before it."""
    fill(few, 2)  # Even numbers, so that the assistant has the last word.
    before = statements(tried, few)
    clear()
    world = World(few.who)
    fill(world, many)
    after = statements(tried, world)
    assert all(after)
    # The first may open connections, which are statements too.
    return [f"{case}: {had}, {has}" for case, had, has in zip(tried, before, after, strict=True) if has > had]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", WHO)
def test_no_reading_grows(who: str) -> None:
    assert grown([case for case in READ if case.who == who], World(who)) == []


@pytest.mark.django_db(transaction=True)
def test_no_question_grows() -> None:
    assert grown(ASKED, World("owner")) == []
