"""What a model is told of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.asked import begin, end, told
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of
from waldur_chat import conf
from waldur_chat.models import Message, Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def thread(alice: Person) -> Thread:
    """Two questions and their answers."""
    return thread_of(alice.user, "a", "b", "c", "d")


def say(thread: Thread, role: str, text: str, index: int) -> None:
    Message.objects.create(thread=thread, role=role, text=text, sequence_index=index)


def texts(alice: Person, thread: Thread, **question: Any) -> list[str]:
    return [text for _, text in told(begin(alice.user, "e", thread=thread.uuid, **question))]


def test_a_model_is_told_all_and_the_question_once(alice: Person, thread: Thread) -> None:
    sides = ["user", "assistant", "user", "assistant", "user"]
    assert told(begin(alice.user, "e", thread=thread.uuid)) == list(zip(sides, "abcde", strict=True))


def test_a_reload_asks_the_question_once_and_leaves_its_answer_out(alice: Person, thread: Thread) -> None:
    assert texts(alice, thread, mode="reload") == ["a", "b", "c"]


def test_an_edit_asks_the_new_version_only(alice: Person, thread: Thread) -> None:
    assert texts(alice, thread, mode="edit", edited=message_of(thread, 2).uuid) == ["a", "b", "e"]


def test_versions_that_were_replaced_are_never_told(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "C", thread=thread.uuid, mode="edit", edited=message_of(thread, 2).uuid), "D")
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "DD")
    assert texts(alice, thread) == ["a", "b", "C", "DD", "e"]


@pytest.mark.parametrize(("messages", "expected"), [(4, "abcde"), (3, "cde"), (2, "cde"), (1, "e"), (0, "e")])
def test_no_more_messages_are_told_than_the_settings_allow(
    alice: Person, thread: Thread, settings: Any, messages: int, expected: str
) -> None:
    settings.WALDUR_CHAT = {"HISTORY_MESSAGES": messages}
    assert "".join(texts(alice, thread)) == expected


def test_what_has_too_many_tokens_is_left_out_with_all_before_it(alice: Person, thread: Thread, settings: Any) -> None:
    settings.WALDUR_CHAT = {"HISTORY_TOKENS": 100}
    message_of(thread, 1, text="b" * 10_000)
    assert texts(alice, thread) == ["c", "d", "e"]


def test_an_answer_whose_question_does_not_fit_is_left_out(alice: Person, thread: Thread, settings: Any) -> None:
    settings.WALDUR_CHAT = {"HISTORY_TOKENS": 100}
    message_of(thread, 0, text="a" * 10_000)
    assert texts(alice, thread) == ["c", "d", "e"]


def test_what_one_side_said_in_a_row_is_joined(alice: Person) -> None:
    thread = thread_of(alice.user, "a")
    say(thread, "user", "b", 1)
    assert told(begin(alice.user, "c", thread=thread.uuid)) == [("user", "a\n\nb\n\nc")]


def test_answers_in_a_row_are_joined(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    say(thread, "assistant", "c", 2)
    assert told(begin(alice.user, "d", thread=thread.uuid))[1] == ("assistant", "b\n\nc")


def test_the_greeting_that_opened_follows_the_prompt_that_asked_for_it(alice: Person) -> None:
    begun = begin(alice.user, None)
    end(begun, "Welcome")
    asked = told(begin(alice.user, "a", thread=Thread.objects.get(uuid=begun.thread).uuid))
    assert asked == [("user", conf.load().opening_prompt), ("assistant", "Welcome"), ("user", "a")]


def test_an_opening_asks_with_the_prompt_of_the_settings(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"OPENING_PROMPT": "Greet me."}
    assert told(begin(alice.user, None)) == [("user", "Greet me.")]
