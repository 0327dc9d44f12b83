"""What a model is told of a conversation."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.asked import begin, end, told
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of
from waldur_chat import conf
from waldur_chat.errors import ChatError, ContextExceeded, ProviderRefusedQuestion
from waldur_chat.models import Message, Thread

pytestmark = pytest.mark.django_db


@pytest.fixture
def thread(alice: Person) -> Thread:
    """Two questions and their answers."""
    return thread_of(alice.user, "a", "b", "c", "d")


def say(thread: Thread, role: str, text: str, index: int) -> None:
    Message.objects.create(thread=thread, role=role, text=text, sequence_index=index)


def refuse(thread: Thread, index: int, code: str = "question_refused", status: str = "failed") -> None:
    """As the end of its turn leaves a question without an answer."""
    message_of(thread, index, status=status, code=code)


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


@pytest.mark.parametrize("code", ["question_refused", "context_exceeded"])
def test_a_question_that_was_refused_is_not_told_again(alice: Person, thread: Thread, code: str) -> None:
    say(thread, "user", "x", 4)
    refuse(thread, 4, code)
    assert texts(alice, thread) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("error", [ProviderRefusedQuestion, ContextExceeded])
def test_the_end_of_a_refused_question_keeps_it_from_the_model(
    alice: Person, thread: Thread, error: type[ChatError]
) -> None:
    end(begin(alice.user, "x", thread=thread.uuid), "", "failed", code=error.code)
    assert texts(alice, thread) == ["a", "b", "c", "d", "e"]


def test_a_first_question_that_was_refused_leaves_no_trace(alice: Person) -> None:
    thread = thread_of(alice.user, "x")
    refuse(thread, 0)
    assert texts(alice, thread) == ["e"]


def test_refused_questions_take_no_room_from_others(alice: Person, thread: Thread, settings: Any) -> None:
    settings.WALDUR_CHAT = {"HISTORY_MESSAGES": 4}
    for index in (4, 5, 6):
        say(thread, "user", "x", index)
        refuse(thread, index)
    assert texts(alice, thread) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(("status", "code"), [("failed", "provider_failed"), ("stopped", "cancelled")])
def test_questions_that_failed_otherwise_are_told(alice: Person, thread: Thread, status: str, code: str) -> None:
    say(thread, "user", "x", 4)
    refuse(thread, 4, code, status)
    assert texts(alice, thread)[-1] == "x\n\ne"


def test_a_refused_question_can_be_asked_again(alice: Person, thread: Thread) -> None:
    say(thread, "user", "x", 4)
    refuse(thread, 4)
    assert texts(alice, thread, mode="reload") == ["a", "b", "c", "d", "x"]


def test_a_question_whose_reload_was_refused_keeps_its_answer(alice: Person, thread: Thread) -> None:
    refuse(thread, 2)
    assert texts(alice, thread) == ["a", "b", "c", "d", "e"]


def test_a_prompt_knows_where_the_question_begins(alice: Person, thread: Thread) -> None:
    say(thread, "user", "x", 4)
    begun = begin(alice.user, "e", thread=thread.uuid)
    assert begun.messages[-1].text[begun.unanswered_length :] == "e"


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
