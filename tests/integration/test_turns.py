"""Turns are stored: the question before a model is asked, the answer before its reader is told of the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import pytest
from django.db import connections

from tests.integration.conftest import Caller
from tests.integration.stored import thread_of
from tests.integration.turning import ask, begin, finish, said, stored, stores  # noqa: F401  # A fixture.
from waldur_chat.errors import ProviderBusy
from waldur_chat.events import Delta, ProviderEvent, Usage
from waldur_chat.messages import Prompt
from waldur_chat.models import Message, Session, Thread, Turn
from waldur_chat.providers.base import Provider
from waldur_chat.testing import Script, ScriptedProvider, scripted

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]

USAGE = Usage(input_tokens=7, output_tokens=5)


class LookingProvider(Provider):
    """Looks at what is stored when it is asked."""

    writes_titles = False
    seen: ClassVar[list[Any]] = []

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        self.seen[:] = await asyncio.to_thread(self._look)
        yield Delta(text="Hello")

    @staticmethod
    def _look() -> list[Any]:
        try:
            turn = Turn.objects.select_related("question").get()
            thread = Thread.objects.get()
            return [turn.status, turn.question.text if turn.question else "", thread.message_count]
        finally:
            connections.close_all()


class NamedProvider(ScriptedProvider):
    """Has a model with a name."""

    def __init__(self, *, script: Script, model: str) -> None:
        super().__init__(script=script)
        self.model = model


def use(settings: Any, provider: type[Provider], **options: Any) -> None:
    """Let this provider answer."""
    entry = {"BACKEND": f"{provider.__module__}.{provider.__name__}", "OPTIONS": options}
    settings.WALDUR_CHAT = {**settings.WALDUR_CHAT, "PROVIDERS": {"default": entry}}


def test_a_turn_that_says_nothing_leaves_its_question_alone(user: Any) -> None:
    with scripted(ProviderBusy()):
        told = stored(ask(user, "Hi"))
    thread = Thread.objects.get()
    assert said(thread) == [(0, "user", "Hi", True)]
    assert (told.question, told.answer) == (Message.objects.get().uuid.hex, "")
    assert thread.message_count == 1


def test_conversations_show_what_their_turns_add_up_to(user: Any, settings: Any) -> None:
    for model in ("m-1", "m-2", "m-1"):
        use(settings, NamedProvider, script=Script(steps=["Hello", USAGE]), model=model)
        thread = Thread.objects.first()
        ask(user, "Hi", thread=thread.uuid if thread else None)
    thread = Thread.objects.get()
    assert (thread.message_count, thread.models_used) == (6, "m-1, m-2")
    assert (thread.input_tokens, thread.output_tokens, thread.total_tokens) == (21, 15, 36)


def test_replaced_versions_are_paid_for_but_not_counted(user: Any) -> None:
    thread = thread_of(user, "Hi", message_count=1)
    for _ in range(3):
        with scripted("Hello", USAGE):
            ask(user, thread=thread.uuid, mode="reload")
    thread.refresh_from_db()
    assert (thread.message_count, thread.total_tokens) == (2, 36)


def test_all_conversations_of_a_user_are_in_his_session(user: Any) -> None:
    with scripted("Hello"):
        ask(user, "Hi")
        ask(user, "Hi")
    assert Session.objects.get().user == user
    assert Thread.objects.filter(session=Session.objects.get()).count() == 2


def test_a_name_of_the_first_words_is_given_once(user: Any) -> None:
    with scripted("Hello"):
        ask(user, "What is a VPC?")
        thread = Thread.objects.get()
        ask(user, "And a subnet?", thread=thread.uuid)
    thread.refresh_from_db()
    assert (thread.name, thread.is_named) == ("What is a VPC?", False)


def test_an_answer_may_end_with_half_a_character(user: Any) -> None:
    with scripted("a \ud83d"):
        ask(user, "Hi")
    assert Message.objects.get(role="assistant").text == "a \ufffd"


def test_the_refusal_names_the_turn_that_is_in_the_way(call: Caller, user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    with scripted("a", 60):
        first = begin(user, "x", thread=thread.uuid)
        reply = call.stream({"input": "y", "thread_uuid": thread.uuid.hex})
        first.cancel()
        finish(first)
    assert (reply.status, reply.json["code"], reply.json["turn_uuid"]) == (409, "thread_busy", first.id)
    assert "Retry-After" not in reply.headers
