"""How turns end in the store: what is kept, summed up and charged; ends that come twice, too late, or to nothing."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from tests.integration.asked import begin, end, row_of, standing
from tests.integration.dying import end_dead
from tests.integration.rest import Person, message_of
from tests.integration.stored import thread_of
from waldur_chat import conf
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.store import locks
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.conversations import deletion
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import finish, interruption, leases, partials
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.turns.reaper import reaper_of_process

pytestmark = [pytest.mark.core, pytest.mark.django_db]


@pytest.fixture
def thread(alice: Person) -> Thread:
    """A question and its answer."""
    return thread_of(alice.user, "a", "b", message_count=2)


def used(tokens: int) -> dict[str, Any]:
    return {"usage": Usage(input_tokens=tokens, output_tokens=tokens)}


def abandon(begun: StartedTurn, tokens: int = 0) -> None:
    """Take its process for dead, which last told of so many tokens."""
    Turn.objects.filter(uuid=begun.turn).update(input_tokens=tokens, output_tokens=tokens)
    end_dead()


def charged() -> int:
    """All tokens in the ledger."""
    return sum(line.input_tokens + line.output_tokens for line in DayOfUsage.objects.all())


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled"])
def test_what_was_written_is_kept_whatever_the_end(alice: Person, thread: Thread, status: str) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    end(begun, "Some words", status, code="x")
    turn = row_of(begun)
    assert standing(thread)[3] == "Some words"
    assert (turn.status, turn.code, turn.answer, turn.ended is None) == (status, "x", message_of(thread, 3), False)


def test_the_end_tells_where_the_answer_is(alice: Person, thread: Thread) -> None:
    stored = end(begin(alice.user, "c", thread=thread.uuid))
    assert stored
    assert stored.answer == message_of(thread, 3).uuid.hex


def test_an_end_without_a_text_has_no_answer(alice: Person, thread: Thread) -> None:
    stored = end(begin(alice.user, "c", thread=thread.uuid), "", "failed")
    assert stored
    assert stored.answer == ""
    assert standing(thread) == ["a", "b", "c"]


def test_a_reload_that_fails_before_any_text_leaves_the_earlier_answer(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "", "failed")
    assert standing(thread) == ["a", "b"]


def test_an_edit_that_fails_before_any_text_leaves_question_and_answer(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "A", thread=thread.uuid, mode="edit", edited=message_of(thread, 0).uuid), "", "failed")
    assert standing(thread) == ["a", "b"]
    assert Message.objects.get(text="A").is_current is False


def test_a_conversation_shows_what_its_turns_add_up_to(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "d", model="one")
    end(begin(alice.user, thread=thread.uuid, mode="reload"), "D", model="two")
    end(begin(alice.user, "e", thread=thread.uuid), "f", model="one")
    thread.refresh_from_db()
    assert (thread.input_tokens, thread.output_tokens, thread.total_tokens) == (9, 12, 21)
    assert (thread.message_count, thread.models_used) == (6, "one, two")


def test_an_answer_keeps_its_own_model_and_tokens(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid))
    answer = message_of(thread, 3)
    assert (answer.model, answer.input_tokens, answer.output_tokens) == ("m", 3, 4)


def test_a_nul_in_an_answer_is_shown_as_what_it_is_not(alice: Person, thread: Thread) -> None:
    end(begin(alice.user, "c", thread=thread.uuid), "a\0b")
    assert standing(thread)[3] == "a\ufffdb"


def test_a_turn_ends_once(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    end(begun, "d")
    assert end(begun, "e") is None
    assert (standing(thread)[3:], charged()) == (["d"], 7)


def test_a_turn_that_somebody_else_ends_at_the_same_moment_ends_once(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin_turns.begin_unstored(alice.user, (), conf.load(), Reservation(), [])
    stale = row_of(begun)
    end(begun)
    monkeypatch.setattr(locks, "lock_turns", lambda turns: [locks.LockedTurn(turn=stale)])
    assert end(begun) is None
    assert charged() == 7


def test_an_unknown_turn_has_no_end() -> None:
    assert finish.finish_turn("0" * 32, finish.TurnOutcome(status="finished")) is None


def test_what_a_dead_process_last_told_is_charged(alice: Person, thread: Thread, caplog: Any) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun, 5)
    turn = row_of(begun)
    assert (turn.status, turn.code, turn.is_estimated, charged()) == ("interrupted", "interrupted", True, 10)
    assert "its process died" in caplog.text


def test_a_turn_whose_process_died_is_charged_to_its_model(alice: Person) -> None:
    begun = begin(alice.user)
    leases.renew({begun.turn: leases.LeaseUpdate(model="m")})
    abandon(begun, 5)
    assert (DayOfUsage.objects.get().model, charged(), row_of(begun).model) == ("m", 10, "m")


@pytest.mark.parametrize(("error", "ended"), [(KeyError("bad"), 2), (OperationalError("gone"), 0)])
def test_one_that_cannot_be_ended_does_not_keep_others_from_it(
    alice: Person, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, ended: int
) -> None:
    turns = [begin(alice.user).turn for _ in range(3)]
    text_of, bad = partials.text_of, turns[1]

    def failing(turn: Turn) -> str:
        if turn.uuid.hex == bad:
            raise error
        return text_of(turn)

    monkeypatch.setattr(partials, "text_of", failing)
    monkeypatch.setattr(interruption.random, "shuffle", lambda rows: rows.sort(key=lambda row: row.uuid.hex != bad))
    if ended:
        assert end_dead() == ended
        assert f"Turn {bad}, whose process died, could not be ended." in caplog.text
    else:  # The database is away.
        with pytest.raises(OperationalError):
            end_dead()
    assert Turn.objects.filter(status="running").count() == 3 - ended


def test_a_turn_whose_process_lives_is_not_abandoned(alice: Person) -> None:
    begin(alice.user)
    assert reaper_of_process().end_dead() == 0


def test_one_taken_for_dead_that_ends_after_all_pays_the_difference(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun, 5)
    end(begun, "d", **used(8))
    assert (standing(thread)[3:], row_of(begun).status) == (["d"], "finished")
    assert (charged(), sum(line.turns for line in DayOfUsage.objects.all())) == (16, 1)


def test_one_taken_for_dead_never_gets_anything_back(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun, 5)
    end(begun, "d", **used(2))
    assert charged() == 10


def test_one_taken_for_dead_is_interrupted_once(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    abandon(begun)
    assert end(begun, "", "interrupted") is None


def test_one_taken_for_dead_is_not_in_force_where_the_conversation_went_on(alice: Person, thread: Thread) -> None:
    late = begin(alice.user, thread=thread.uuid, mode="reload")
    abandon(late)
    end(begin(alice.user, "c", thread=thread.uuid), "d")
    stored = end(late, "B")
    assert stored
    assert standing(thread) == ["a", "b", "c", "d"]
    assert Message.objects.get(text="B").is_current is False


def test_an_opening_taken_for_dead_is_not_in_force_where_another_was_made(alice: Person) -> None:
    late = begin(alice.user, None)
    abandon(late)
    thread = Thread.objects.get(uuid=late.thread)
    end(begin(alice.user, None, thread=thread.uuid), "Hello")
    end(late, "Welcome")
    thread.refresh_from_db()
    assert (standing(thread), thread.message_count) == (["Hello"], 1)


def test_a_turn_whose_conversation_was_deleted_is_charged_and_forgotten(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    deletion.delete(thread)
    assert end(begun) is None
    assert (charged(), Turn.objects.count(), Message.objects.count()) == (7, 0, 0)


def test_a_turn_whose_user_was_deleted_is_charged_to_nobody(alice: Person, thread: Thread) -> None:
    begun = begin(alice.user, "c", thread=thread.uuid)
    alice.user.delete()
    assert end(begun) is None
    assert [(line.user_id, line.input_tokens) for line in DayOfUsage.objects.all()] == [(None, 3)]
    assert Budget.objects.get().is_site


def test_a_title_names_its_conversation_and_counts_there(alice: Person) -> None:
    begun = begin(alice.user, promise=Reservation(title_input_tokens=10))
    finish.finish_turn(begun.title_turn, finish.TurnOutcome(status="finished", text="Cats", model="m", **used(2)))
    thread = Thread.objects.get(uuid=begun.thread)
    assert (thread.name, thread.title_input_tokens, thread.title_output_tokens, thread.total_tokens) == (
        "Cats",
        2,
        2,
        4,
    )
    assert (thread.message_count, DayOfUsage.objects.get().turns) == (1, 0)


@pytest.mark.parametrize("fields", [{"name": "Mine"}, {"is_named": True}])
def test_a_title_replaces_no_name(alice: Person, fields: dict[str, Any]) -> None:
    begun = begin(alice.user, promise=Reservation(title_input_tokens=10))
    Thread.objects.filter(uuid=begun.thread).update(**fields)
    finish.finish_turn(begun.title_turn, finish.TurnOutcome(status="finished", text="Cats"))
    assert Thread.objects.get(uuid=begun.thread).name != "Cats"


def test_a_turn_that_used_nothing_is_not_in_the_ledger(alice: Person) -> None:
    end(begin(alice.user), "", "failed", usage=finish.NO_USAGE, model="")
    assert (DayOfUsage.objects.count(), Thread.objects.get().models_used) == (0, "")


def test_what_is_not_stored_is_charged_and_forgotten(alice: Person) -> None:
    begun = begin_turns.begin_unstored(alice.user, (), conf.load(), Reservation(), [])
    assert end(begun) is None
    assert (charged(), Turn.objects.count(), Thread.objects.count()) == (7, 0, 0)
