"""How an answer ended is stored with it; where a turn leaves no answer, with its question."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.integration.asked import begin, end, row_of
from tests.integration.dying import end_dead
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.store.turns import finish, partials
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.partials import PartialOutput

pytestmark = [pytest.mark.core, pytest.mark.django_db]


@pytest.fixture
def thread(alice: Person) -> Thread:
    """A question and its answer."""
    return thread_of(alice.user, "a", "b", message_count=2)


def abandon(begun: StartedTurn, text: str = "") -> None:
    """Take its process for dead, which has flushed this text."""
    row = row_of(begun)
    if text:
        partials.write([PartialOutput(turn=row.uuid.hex, position=0, text=text)])
    end_dead()


def states(thread: Thread) -> list[tuple[str, str, str]]:
    """Text, status and code of the current messages."""
    current = Message.objects.filter(thread=thread, is_current=True).order_by("sequence_index")
    return list(current.values_list("text", "status", "code"))


@pytest.mark.parametrize(
    ("ended", "status", "code"),
    [
        ({}, "complete", ""),
        ({"reason": "stop"}, "complete", ""),
        ({"reason": "a word of its own"}, "complete", ""),
        ({"reason": "length"}, "length", ""),
        ({"reason": "content_filter"}, "filtered", ""),
        ({"status": "cancelled", "code": "cancelled"}, "stopped", "cancelled"),
        ({"status": "failed", "code": "provider_failed"}, "failed", "provider_failed"),
        ({"status": "interrupted", "code": "interrupted"}, "interrupted", "interrupted"),
    ],
)
def test_an_answer_says_how_it_ended(
    alice: Person, thread: Thread, ended: dict[str, Any], status: str, code: str
) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "d", **ended)
    assert states(thread)[2:] == [("c", "complete", ""), ("d", status, code)]


def test_a_question_without_an_answer_says_how_its_turn_ended(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "", "failed", code="provider_failed")
    assert states(thread)[2:] == [("c", "failed", "provider_failed")]


def test_a_question_that_is_answered_later_is_complete_again(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "", "failed", code="provider_failed")
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "d", "cancelled", code="cancelled")
    assert states(thread)[2:] == [("c", "complete", ""), ("d", "stopped", "cancelled")]


def test_a_question_that_fails_again_says_how_its_last_turn_ended(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "", "failed", code="provider_failed")
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "", "cancelled", code="cancelled")
    assert states(thread)[2:] == [("c", "stopped", "cancelled")]


def test_an_empty_complete_answer_leaves_its_question_complete(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "")
    assert states(thread)[2:] == [("c", "complete", "")]


def test_a_failed_edit_leaves_the_current_messages_as_they_are(alice: Person, thread: Thread) -> None:
    edited = message_of(thread, 0).uuid
    end(begin(alice.user, "A", thread=thread.uuid, mode="edit", edited=edited), "", "failed", code="x")
    assert states(thread) == [("a", "complete", ""), ("b", "complete", "")]
    assert Message.objects.get(text="A").status == "failed"


def test_the_new_version_of_a_failed_question_is_complete(alice: Person, thread: Thread) -> None:
    failed = begin(alice.user, "c", thread=thread.uuid)
    end(failed, "", "failed", code="x")
    end(begin(alice.user, "C", thread=thread.uuid, mode="edit", edited=row_of(failed).question.uuid), "d")  # type: ignore[union-attr]
    assert states(thread)[2:] == [("C", "complete", ""), ("d", "complete", "")]


def test_an_opening_that_fails_has_no_question_to_say_it(alice: Person) -> None:
    end(begin(alice.user, None), "", "failed", code="x")
    assert Message.objects.count() == 0


def test_the_text_that_a_dead_process_has_flushed_is_interrupted(alice: Person, thread: Thread) -> None:
    abandon(begin(alice.user, "c", thread=thread.uuid), "d")
    assert states(thread)[2:] == [("c", "complete", ""), ("d", "interrupted", "interrupted")]


def test_a_question_whose_process_died_before_any_text_is_interrupted(alice: Person, thread: Thread) -> None:
    abandon(begin(alice.user, "c", thread=thread.uuid))
    assert states(thread)[2:] == [("c", "interrupted", "interrupted")]


@pytest.mark.parametrize("flushed", ["", "d"])
def test_a_process_that_lives_after_all_completes_its_answer(alice: Person, thread: Thread, flushed: str) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun, flushed)
    end(begun, "d, whole")
    assert states(thread)[2:] == [("c", "complete", ""), ("d, whole", "complete", "")]


def test_a_process_that_lives_after_all_and_fails_says_why(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun)
    end(begun, "", "failed", code="provider_failed")
    assert states(thread)[2:] == [("c", "failed", "provider_failed")]


def test_a_late_failure_changes_nothing_where_a_later_turn_has_answered(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun)
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "d")
    end(begun, "", "failed", code="provider_failed")
    assert states(thread)[2:] == [("c", "complete", ""), ("d", "complete", "")]


def test_a_title_that_fails_leaves_the_messages_as_they_are(alice: Person, thread: Thread) -> None:
    row = Turn.objects.create(thread=thread, purpose="title", user=alice.user, expires=timezone.now())
    finish.finish_turn(row.uuid.hex, finish.TurnOutcome(status="failed", code="provider_failed"))
    assert {status for _, status, _ in states(thread)} == {"complete"}


def test_a_complete_answer_updates_no_message(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    with CaptureQueriesContext(connection) as queries:
        end(begun, "d")
    assert not [one["sql"] for one in queries if f'UPDATE "{Message._meta.db_table}"' in one["sql"]]
