"""Turns of processes that died are ended by whoever finds them; one that was not dead may end after all."""

from __future__ import annotations

import random
from typing import Any

import pytest
from django.db.models import Sum

from tests.integration.dying import end_dead, seen_unchanged
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import ask, begin, finish, prepare, said, stores  # noqa: F401  # A fixture.
from waldur_chat.errors import ThreadBusy
from waldur_chat.events import Usage
from waldur_chat.models import DayOfUsage, Message, Thread, Turn
from waldur_chat.store.turns import finish as store_finish
from waldur_chat.store.turns import leases, partials
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.leases import LeaseUpdate
from waldur_chat.store.turns.partials import PartialOutput
from waldur_chat.testing import scripted

pytestmark = pytest.mark.usefixtures("stores")

USAGE = Usage(input_tokens=70, output_tokens=50)
LATE = TurnOutcome(status="finished", text="Late", model="m", usage=USAGE)


def abandoned(user: Any, **question: Any) -> str:
    """A turn whose process was not heard of for too long."""
    with scripted("Hello"):
        turn = prepare(user, **question)
    forget(turn.id)
    return turn.id


def forget(turn_id: str) -> None:
    """Let the process of this turn be unheard of."""
    seen_unchanged(of(turn_id))


def of(turn_id: str) -> Turn:
    """The turn as it is stored."""
    return Turn.objects.get(uuid=turn_id)


def test_one_that_runs_in_this_process_is_not_taken_for_dead_here(user: Any) -> None:
    with scripted("Hello", 60):
        turn = begin(user, "Hi")
        forget(turn.id)
        with pytest.raises(ThreadBusy):
            prepare(user, "And now?", thread=str(Thread.objects.get().uuid))
        assert end_dead() == 0
        assert of(turn.id).status == "running"
        turn.cancel()
        finish(turn)
    assert of(turn.id).status == "cancelled"


def test_one_that_lives_after_all_stores_its_answer(user: Any) -> None:
    turn = abandoned(user, text="Hi")
    end_dead()
    store_finish.finish_turn(turn, LATE)
    assert said(Thread.objects.get()) == [(0, "user", "Hi", True), (1, "assistant", "Late", True)]
    assert (of(turn).status, Thread.objects.get().message_count) == ("finished", 2)


def test_one_that_lives_after_all_completes_what_was_known_of_it(user: Any) -> None:
    turn = abandoned(user, text="Hi")
    partials.write([PartialOutput(turn=of(turn).uuid.hex, position=0, text="La")])
    end_dead()
    assert said(Thread.objects.get()) == [(0, "user", "Hi", True), (1, "assistant", "La", True)]
    store_finish.finish_turn(turn, LATE)
    assert said(Thread.objects.get()) == [(0, "user", "Hi", True), (1, "assistant", "Late", True)]
    assert (Message.objects.get(role="assistant").output_tokens, Thread.objects.get().message_count) == (50, 2)
    assert DayOfUsage.objects.aggregate(used=Sum("output_tokens"))["used"] == 50


def test_one_that_was_guessed_to_have_used_more_has_used_that(user: Any) -> None:
    turn = abandoned(user, text="Hi")
    partials.write([PartialOutput(turn=of(turn).uuid.hex, position=0, text="La" * 400)])
    end_dead()
    charged = of(turn).output_tokens
    assert charged > 50
    store_finish.finish_turn(turn, LATE)
    assert of(turn).output_tokens == charged
    assert Thread.objects.get().output_tokens == charged
    assert DayOfUsage.objects.aggregate(used=Sum("output_tokens"))["used"] == charged


def test_a_late_answer_is_not_in_force_where_the_conversation_went_on(user: Any) -> None:
    turn = abandoned(user, text="Hi")
    thread = Thread.objects.get()
    with scripted("Hello"):
        ask(user, "Again", thread=thread.uuid)
    told = store_finish.finish_turn(turn, LATE)
    assert told is not None
    late = Message.objects.get(uuid=told.answer)
    assert (late.sequence_index, late.is_current, late.replaces) == (1, False, None)
    assert [one for one in said(thread) if one[3]] == [
        (0, "user", "Hi", True),
        (1, "user", "Again", True),
        (2, "assistant", "Hello", True),
    ]
    assert Thread.objects.get().message_count == 3


@pytest.mark.parametrize("moment", [(random, "shuffle"), (partials, "text_of")])
def test_one_that_was_heard_of_meanwhile_is_not_ended(
    user: Any, monkeypatch: pytest.MonkeyPatch, moment: tuple[Any, str]
) -> None:
    turn = abandoned(user, text="Hi")

    def heard_of(found: Any) -> str:
        leases.renew({turn: LeaseUpdate()})
        return "Hel"

    monkeypatch.setattr(*moment, heard_of)
    assert end_dead() == 0
    assert of(turn).status == "running"
    assert not Message.objects.filter(role="assistant").exists()


def test_a_late_edit_is_not_in_force_where_the_conversation_went_on(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    question = Message.objects.get(text="Hi")
    turn = abandoned(user, text="Edited", thread=thread.uuid, mode="edit", edited=question.uuid)
    with scripted("Fine"):
        ask(user, "Again", thread=thread.uuid)
    store_finish.finish_turn(turn, LATE)
    assert [text for _, _, text, is_current in said(thread) if is_current] == ["Hi", "Hello", "Again", "Fine"]


def test_a_late_edit_is_in_force_where_nothing_happened_since(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    question = Message.objects.get(text="Hi")
    turn = abandoned(user, text="Edited", thread=thread.uuid, mode="edit", edited=question.uuid)
    end_dead()
    store_finish.finish_turn(turn, LATE)
    assert [text for _, _, text, is_current in said(thread) if is_current] == ["Edited", "Late"]


def test_an_abandoned_title_is_charged_as_a_title(user: Any) -> None:
    thread = thread_of(user, "Hi", "Hello")
    turn_in(thread, purpose="title", user=user, input_tokens=30, output_tokens=2)
    end_dead()
    thread.refresh_from_db()
    assert (thread.name, thread.title_input_tokens, thread.title_output_tokens) == ("New chat", 30, 2)
    assert DayOfUsage.objects.get().turns == 0
