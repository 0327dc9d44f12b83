"""Where questions and answers stand in their conversation."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tests.integration.asked import begin, end, row_of, standing
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of
from waldur_chat.errors import InvalidQuestion, ThreadNotFound
from waldur_chat.models import Message, Thread

pytestmark = [pytest.mark.core, pytest.mark.django_db]


def refused_field(user: Any, text: str | None = "New", **question: Any) -> str:
    with pytest.raises(InvalidQuestion) as refused:
        begin(user, text, **question)
    return refused.value.field


def test_a_question_begins_a_conversation(alice: Person) -> None:
    begun = begin(alice.user)
    end(begun)
    assert standing(Thread.objects.get(uuid=begun.thread)) == ["Hello", "An answer"]


def test_a_question_is_put_behind_the_last_message(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    end(begin(alice.user, "c", thread=thread.uuid), "d")
    assert standing(thread) == ["a", "b", "c", "d"]


def test_an_opening_leaves_the_assistants_words_alone(alice: Person) -> None:
    begun = begin(alice.user, None)
    end(begun, "Welcome")
    assert (begun.opens, begun.question) == (True, "")
    assert standing(Thread.objects.get(uuid=begun.thread)) == ["Welcome"]


def test_the_assistant_may_speak_again_unasked(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    end(begin(alice.user, None, thread=thread.uuid), "c")
    assert standing(thread) == ["a", "b", "c"]


def test_a_reload_replaces_the_last_answer(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    begun = begin(alice.user, thread=thread.uuid, mode="reload")
    old = message_of(thread, 1)
    end(begun, "B")
    assert (begun.question, standing(thread)) == ("", ["a", "B"])
    assert message_of(thread, 1).replaces == old


def test_a_reload_of_a_question_without_an_answer_gets_its_first(alice: Person) -> None:
    thread = thread_of(alice.user, "a")
    begun = begin(alice.user, thread=thread.uuid, mode="reload")
    end(begun, "b")
    assert standing(thread) == ["a", "b"]


def test_a_reload_of_an_opening_opens_again(alice: Person) -> None:
    begun = begin(alice.user, None)
    end(begun, "Welcome")
    thread = Thread.objects.get(uuid=begun.thread)
    again = begin(alice.user, "ignored", thread=thread.uuid, mode="reload")
    end(again, "Good morning")
    assert (again.opens, standing(thread)) == (True, ["Good morning"])


def test_a_reload_of_an_empty_conversation_is_refused(alice: Person) -> None:
    assert refused_field(alice.user, thread=thread_of(alice.user).uuid, mode="reload") == "mode"


@pytest.mark.parametrize("texts", [("a",), ("a", "b")])
def test_an_edit_replaces_the_last_question_and_its_answer(alice: Person, texts: tuple[str, ...]) -> None:
    thread = thread_of(alice.user, *texts)
    old = message_of(thread, 0)
    end(begin(alice.user, "A", thread=thread.uuid, mode="edit", edited=old.uuid), "B")
    assert standing(thread) == ["A", "B"]
    assert message_of(thread, 0).replaces == old


def test_an_edited_question_stands_until_its_new_version_is_answered(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    begin(alice.user, "A", thread=thread.uuid, mode="edit", edited=message_of(thread, 0).uuid)
    assert standing(thread) == ["a", "b"]


@pytest.mark.parametrize("index", [0, 3])
def test_only_the_last_question_can_be_edited(alice: Person, index: int) -> None:
    thread = thread_of(alice.user, "a", "b", "c", "d")
    edited = message_of(thread, index).uuid
    assert refused_field(alice.user, thread=thread.uuid, mode="edit", edited=edited) == "edit_message_uuid"


def test_a_message_of_another_conversation_cannot_be_edited(alice: Person) -> None:
    thread, other = thread_of(alice.user, "a", "b"), thread_of(alice.user, "c", "d")
    edited = message_of(other, 0).uuid
    assert refused_field(alice.user, thread=thread.uuid, mode="edit", edited=edited) == "edit_message_uuid"


def test_an_edit_of_an_empty_conversation_is_refused(alice: Person) -> None:
    thread = thread_of(alice.user)
    assert refused_field(alice.user, thread=thread.uuid, mode="edit", edited=uuid4()) == "edit_message_uuid"


def test_what_is_refused_leaves_nothing_behind(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    refused_field(alice.user, thread=thread.uuid, mode="edit", edited=uuid4())
    assert (Message.objects.count(), thread.turns.count()) == (2, 0)


@pytest.mark.parametrize("mode", ["", "reload", "edit"])
def test_a_conversation_of_somebody_else_is_not_found(alice: Person, bob: Person, mode: Any) -> None:
    thread = thread_of(bob.user, "a", "b")
    with pytest.raises(ThreadNotFound):
        begin(alice.user, thread=thread.uuid, mode=mode, edited=message_of(thread, 0).uuid)


def test_a_turn_knows_the_place_of_its_answer(alice: Person) -> None:
    thread = thread_of(alice.user, "a", "b")
    turn = row_of(begin(alice.user, "c", thread=thread.uuid))
    assert turn.question == message_of(thread, 2)
    assert turn.answer_index == 3
