"""Where questions and answers stand in their conversation, and what the model is told then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.stored import thread_of
from tests.integration.turning import ask, asked, said, stored, stores  # noqa: F401  # A fixture.
from waldur_chat.models import Message, Thread
from waldur_chat.testing import scripted

pytestmark = [pytest.mark.core, pytest.mark.usefixtures("stores")]


def message(thread: Thread, index: int) -> Message:
    """What stands at this place."""
    return Message.objects.get(thread=thread, sequence_index=index, is_current=True)


def spoken(thread: Thread, role: str, index: int, text: str) -> Message:
    """What one side has said."""
    return Message.objects.create(thread=thread, role=role, sequence_index=index, text=text)


def test_a_first_question_begins_a_conversation(user: Any) -> None:
    with scripted("Hello"):
        ask(user, "Hi")
    assert said(Thread.objects.get()) == [(0, "user", "Hi", True), (1, "assistant", "Hello", True)]


def test_a_further_question_goes_on_with_it(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    with scripted("Fine") as provider:
        ask(user, "How are you?", thread=thread.uuid)
    assert asked(provider.prompts[0]) == [("user", "Hi"), ("assistant", "Hello"), ("user", "How are you?")]
    assert said(thread)[2:] == [(2, "user", "How are you?", True), (3, "assistant", "Fine", True)]


def test_an_opening_is_an_answer_without_a_question(user: Any) -> None:
    with scripted("Welcome") as provider:
        events = ask(user)
    assert said(Thread.objects.get()) == [(0, "assistant", "Welcome", True)]
    assert provider.prompts[0].opens
    assert stored(events).question == ""


def test_where_question_and_answer_are_stored_is_told_at_the_end(user: Any) -> None:
    with scripted("Hello"):
        told = stored(ask(user, "Hi"))
    ids = [one.uuid.hex for one in Message.objects.order_by("sequence_index")]
    assert [told.question, told.answer] == ids


def test_a_reload_replaces_the_answer(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    first = message(thread, 1)
    with scripted("Good day") as provider:
        told = stored(ask(user, "ignored", thread=thread.uuid, mode="reload"))
    assert asked(provider.prompts[0]) == [("user", "Hi")]
    assert said(thread)[1:] == [(1, "assistant", "Hello", False), (1, "assistant", "Good day", True)]
    assert message(thread, 1).replaces == first
    assert (told.question, told.answer) == ("", message(thread, 1).uuid.hex)


def test_a_reload_of_a_question_without_an_answer_answers_it(user: Any) -> None:
    thread = thread_of(user, "Hi")
    with scripted("Hello") as provider:
        ask(user, thread=thread.uuid, mode="reload")
    assert asked(provider.prompts[0]) == [("user", "Hi")]
    assert said(thread) == [(0, "user", "Hi", True), (1, "assistant", "Hello", True)]


@pytest.mark.parametrize("texts", [[], ["Hi", "Hello"]])
def test_a_reload_of_an_opening_opens_again(user: Any, texts: list[str]) -> None:
    thread = thread_of(user, *texts)
    spoken(thread, "assistant", len(texts), "Welcome")
    with scripted("Be welcome") as provider:
        ask(user, thread=thread.uuid, mode="reload")
    assert provider.prompts[0].opens
    assert said(thread)[-2:] == [
        (len(texts), "assistant", "Welcome", False),
        (len(texts), "assistant", "Be welcome", True),
    ]


def test_an_edit_replaces_question_and_answer(user: Any) -> None:
    thread = thread_of(user, "a", "b", "Hi", "Hello")
    first = message(thread, 2)
    with scripted("Good day") as provider:
        told = stored(ask(user, "Good morning", thread=thread.uuid, mode="edit", edited=first.uuid))
    assert asked(provider.prompts[0]) == [("user", "a"), ("assistant", "b"), ("user", "Good morning")]
    assert said(thread)[2:] == [
        (2, "user", "Hi", False),
        (2, "user", "Good morning", True),
        (3, "assistant", "Hello", False),
        (3, "assistant", "Good day", True),
    ]
    assert message(thread, 2).replaces == first
    assert told.question == message(thread, 2).uuid.hex


def test_no_replaced_version_is_told(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    with scripted("Second answer"):
        ask(user, thread=thread.uuid, mode="reload")
    with scripted("Third answer"):
        ask(user, "Second question", thread=thread.uuid, mode="edit", edited=message(thread, 0).uuid)
    with scripted("Fine") as provider:
        ask(user, "Third question", thread=thread.uuid)
    assert asked(provider.prompts[0]) == [
        ("user", "Second question"),
        ("assistant", "Third answer"),
        ("user", "Third question"),
    ]


@pytest.mark.parametrize("mode", ["", "reload", "edit"])
def test_the_model_is_told_what_was_written_whatever_markdown_it_is(user: Any, mode: Any) -> None:
    answer = "  Look:\r\n```py\nopen\n    ```\n**User**:\n"
    thread = thread_of(user, "Hi", answer, "Well?", "So")
    with scripted("Fine") as provider:
        ask(user, "~~~\n?", thread=thread.uuid, mode=mode, edited=message(thread, 2).uuid if mode == "edit" else None)
    told = asked(provider.prompts[0])
    assert told[:2] == [("user", "Hi"), ("assistant", answer)]
    assert told[-1] == ("user", "Well?" if mode == "reload" else "~~~\n?")


@pytest.mark.parametrize("mode", ["reload", "edit"])
def test_what_fails_before_it_says_anything_replaces_nothing(user: Any, mode: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    with scripted(ZeroDivisionError()):
        ask(user, "Good morning", thread=thread.uuid, mode=mode, edited=message(thread, 0).uuid)
    assert [one for one in said(thread) if one[3]] == [(0, "user", "Hi", True), (1, "assistant", "Hello", True)]
    assert [one for one in said(thread) if not one[3]] == [(0, "user", "Good morning", False)] * (mode == "edit")


@pytest.mark.parametrize("mode", ["reload", "edit"])
def test_what_fails_in_the_middle_replaces_what_was_said_before(user: Any, mode: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    with scripted("Good", ZeroDivisionError()):
        ask(user, "Good morning", thread=thread.uuid, mode=mode, edited=message(thread, 0).uuid)
    assert message(thread, 1).text == "Good"
    assert message(thread, 0).text == ("Hi" if mode == "reload" else "Good morning")


def test_an_edit_that_failed_can_be_tried_again(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    edit = {"thread": thread.uuid, "mode": "edit", "edited": message(thread, 0).uuid}
    with scripted(ZeroDivisionError()):
        ask(user, "Good morning", **edit)
    with scripted("Good day"):
        ask(user, "Good evening", **edit)
    assert (message(thread, 0).text, message(thread, 1).text) == ("Good evening", "Good day")
