"""Who erases his conversations leaves no words behind, and what he used stays counted."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db.models import JSONField, Sum, TextField, UUIDField
from django.db.models.fields import CharField
from django.utils import timezone

from tests.integration.dying import seen_unchanged
from tests.integration.rest import Person, message_of, path_of, running_in
from tests.integration.stored import charge, thread_of, turn_in
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage, Message, Reading, Session, Thread, Turn

CANARY = "canary-7f3a"
CURRENT = "chat-sessions/current/"


def words() -> list[str]:
    """Every text that is stored in any table."""
    found = []
    for model in apps.get_models():
        fields = [one.name for one in model._meta.fields if isinstance(one, (CharField, TextField, JSONField))]
        found += [str(value) for row in model._default_manager.values_list(*fields) for value in row]
    return found


def totals() -> dict[str, Any]:
    """What the ledger and the accounts add up to."""
    return {
        **DayOfUsage.objects.aggregate(Sum("input_tokens"), Sum("output_tokens"), Sum("turns")),
        **Budget.objects.aggregate(Sum("daily_tokens"), Sum("monthly_tokens")),
    }


@pytest.fixture
def written(alice: Person) -> Thread:
    """A conversation in which the canary sits wherever a user can write."""
    thread = thread_of(alice.user, CANARY, f"You said {CANARY}.")
    alice.send("PATCH", path_of(thread), {"name": CANARY})
    alice.post("chat-messages/", {"thread": thread.uuid.hex, "role": "user", "content": CANARY})
    alice.post(path_of(message_of(thread, 2), "edit"), {"content": f"{CANARY} again"})
    alice.post(path_of(message_of(thread, 1), "feedback"), {"score": False, "comment": CANARY})
    turn_in(thread, user=alice.user, ended=timezone.now(), question=message_of(thread, 0))
    charge(alice.user, "a-model", Usage(input_tokens=70, output_tokens=7))
    return thread


def test_nothing_that_was_written_is_left(alice: Person, written: Thread) -> None:
    assert sum(CANARY in text for text in words()) >= 6
    before = totals()
    erased = alice.send("DELETE", CURRENT)
    assert (erased.status_code, erased.content) == (204, b"")
    assert not [text for text in words() if CANARY in text]
    assert totals() == before
    assert before["input_tokens__sum"] == 70


def test_no_row_is_left(alice: Person, written: Thread, staff: Person) -> None:
    staff.get(path_of(written))
    alice.send("DELETE", CURRENT)
    assert {model.objects.count() for model in (Session, Thread, Message, Turn, Reading)} == {0}


def test_no_uuid_of_it_is_left(alice: Person, written: Thread, staff: Person) -> None:
    staff.get(path_of(written))
    uuids = {written.uuid, written.session.uuid, *written.messages.values_list("uuid", flat=True)}
    alice.send("DELETE", CURRENT)
    for model in apps.get_models():
        for field in model._meta.fields:
            if isinstance(field, UUIDField):
                assert not uuids & set(model._default_manager.values_list(field.name, flat=True))


def test_what_belongs_to_others_stays(alice: Person, bob: Person, written: Thread, staff: Person) -> None:
    theirs = thread_of(bob.user, "Hello", "Hi")
    turn_in(theirs, ended=timezone.now())
    staff.get(path_of(theirs))
    alice.send("DELETE", CURRENT)
    assert [model.objects.count() for model in (Session, Thread, Message, Turn, Reading)] == [1, 1, 2, 1, 1]


def test_running_turns_are_stopped_and_left_to_their_process(alice: Person, written: Thread) -> None:
    turn = running_in(written, user=alice.user, question=message_of(written, 0), reserved=9)
    alice.send("DELETE", CURRENT)
    turn.refresh_from_db()
    assert (turn.thread, turn.question, turn.is_cancelled, turn.reserved) == (None, None, True, 9)


def test_a_turn_whose_process_died_is_settled(alice: Person, written: Thread) -> None:
    seen_unchanged(turn_in(written, user=alice.user, input_tokens=5))
    alice.send("DELETE", CURRENT)
    assert not Turn.objects.exists()
    assert totals()["input_tokens__sum"] == 75


def test_erasing_nothing_is_no_error(alice: Person) -> None:
    assert alice.send("DELETE", CURRENT).status_code == 204


def test_one_can_begin_anew(alice: Person, written: Thread) -> None:
    alice.send("DELETE", CURRENT)
    assert alice.get(CURRENT).json()["uuid"] != written.session.uuid.hex


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow(alice: Person, count: int, django_assert_num_queries: Any) -> None:
    for _ in range(count):
        thread_of(alice.user, *["Hello"] * count)
    with django_assert_num_queries(16):
        alice.send("DELETE", CURRENT)
