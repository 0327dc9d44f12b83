"""Turns that end together: as each would alone, in one transaction, and no dearer than one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import Error, connection, connections
from django.test.utils import CaptureQueriesContext

from tests.integration.asked import USED, begin, row_of, standing
from tests.integration.rest import Person, message_of
from tests.integration.stored import charge, thread_of
from waldur_chat import conf
from waldur_chat.events import StoredMessages
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.store import locks, sql
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.conversations import deletion
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import TurnOutcome

pytestmark = [pytest.mark.core, pytest.mark.django_db]


def ending(text: str = "An answer", model: str = "m", **fields: Any) -> TurnOutcome:
    return TurnOutcome(**{"status": "finished", "text": text, "model": model, "usage": USED, **fields})


def end(*begun: StartedTurn) -> list[StoredMessages | None]:
    return finish.finish_turns([(one.turn, ending(f"Answer {number}")) for number, one in enumerate(begun)])


def lines() -> list[tuple[Any, ...]]:
    return sorted(DayOfUsage.objects.values_list("user__username", "model", "turns", "input_tokens", "output_tokens"))


def test_each_has_its_answer(alice: Person, bob: Person) -> None:
    begun = [begin(alice.user), begin(bob.user), begin(alice.user)]
    stored = end(*begun)
    for number, (one, place) in enumerate(zip(begun, stored, strict=True)):
        answer = row_of(one).answer
        assert (answer.text, place) == (f"Answer {number}", StoredMessages(answer=answer.uuid.hex))
        thread = Thread.objects.get(uuid=one.thread)
        assert (standing(thread), thread.message_count) == (["Hello", f"Answer {number}"], 2)
        assert (thread.total_tokens, thread.models_used) == (7, "m")
    assert set(Turn.objects.values_list("status", "reserved")) == {("finished", 0)}


def test_what_they_used_is_summed_up_by_user_and_model(alice: Person, bob: Person) -> None:
    models = {"x": alice, "y": bob, "z": alice}
    begun = [(begin(person.user), model) for model, person in [*models.items(), ("x", alice)]]
    finish.finish_turns([(one.turn, ending(model=model)) for one, model in begun])
    assert lines() == [("alice", "x", 2, 6, 8), ("alice", "z", 1, 3, 4), ("bob", "y", 1, 3, 4)]
    accounts = Budget.objects.values_list("user__username", "is_site", "daily_tokens", "monthly_tokens")
    assert set(accounts) == {("alice", None, 21, 21), ("bob", None, 7, 7), (None, True, 28, 28)}


def test_what_was_held_is_let_go(alice: Person, bob: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10_000, "SITE_TOKENS_DAILY": 10_000}
    begun = [begin(person.user, promise=Reservation(output_tokens=10)) for person in (alice, bob, bob)]
    assert sum(Budget.objects.values_list("reserved", flat=True))
    end(*begun)
    assert set(Budget.objects.values_list("reserved", flat=True)) == {0}


def test_an_answer_and_the_title_of_its_conversation(alice: Person) -> None:
    begun = begin(alice.user, promise=Reservation(title_input_tokens=10))
    finish.finish_turns([(begun.title_turn, ending("Cats")), (begun.turn, ending())])
    thread = Thread.objects.get(uuid=begun.thread)
    assert (thread.name, thread.total_tokens, thread.title_output_tokens, thread.message_count) == ("Cats", 14, 4, 2)
    assert lines() == [("alice", "m", 1, 6, 8)]


def test_all_kinds_at_once(alice: Person, bob: Person) -> None:
    """A question that was edited, an answer without text, a conversation that is gone, a turn that has none."""
    old = thread_of(alice.user, "a", "b", message_count=2)
    edited = begin(alice.user, "c", thread=old.uuid, mode="edit", edited=message_of(old, 0).uuid)
    gone, lonely, silent = (
        begin(alice.user),
        begin_turns.begin_unstored(bob.user, (), conf.load(), Reservation(), []),
        begin(alice.user),
    )
    deletion.delete(Thread.objects.get(uuid=gone.thread))
    those = [(one.turn, ending()) for one in (gone, edited, lonely)]
    stored = finish.finish_turns([*those, ("0" * 32, ending()), (silent.turn, ending("", status="failed"))])
    assert [bool(one and one.answer) for one in stored] == [False, True, False, False, False]
    assert [one is None for one in stored] == [True, False, True, True, False]
    assert standing(old) == ["c", "An answer"]
    assert lines() == [("alice", "m", 3, 9, 12), ("bob", "m", 1, 3, 4)]
    assert set(Turn.objects.values_list("status", flat=True)) == {"finished", "failed"}


def test_some_of_deleted_users(alice: Person, bob: Person) -> None:
    begun = [begin(alice.user), begin(bob.user), begin(alice.user)]
    alice.user.delete()
    assert [bool(one) for one in end(*begun)] == [False, True, False]
    assert sorted(DayOfUsage.objects.values_list("user__username", "input_tokens"), key=str) == [
        ("bob", 3),
        (None, 6),
    ]
    assert Budget.objects.get(is_site=True).daily_tokens == 21


def test_one_that_is_given_twice_ends_once(alice: Person) -> None:
    begun = begin(alice.user)
    first, second = end(begun, begun)
    assert first == second == StoredMessages(answer=Message.objects.get(role="assistant").uuid.hex)
    assert lines() == [("alice", "m", 1, 3, 4)]


def test_none_ends_where_somebody_else_ends_one_at_the_same_moment(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = begin(alice.user), begin_turns.begin_unstored(alice.user, (), conf.load(), Reservation(), [])
    stale = [locks.LockedTurn(turn=row_of(begun), is_question_current=True) for begun in (one, other)]
    finish.finish_turn(other.turn, ending())
    monkeypatch.setattr(locks, "lock_turns", lambda turns: stale)
    with pytest.raises(Error, match="Another process has changed a turn"):
        end(one, other)
    assert (row_of(one).status, Message.objects.filter(role="assistant").count()) == ("running", 0)
    assert lines() == [("alice", "m", 1, 3, 4)]


@pytest.mark.django_db(transaction=True)
def test_many_ask_a_database_no_more_often_than_one() -> None:
    if not sql.can_batch(connection):
        pytest.skip("SQLite and psycopg 2 take one statement at a time.")
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(3)]
    end(*map(begin, users))  # Makes their rows.
    asked = []
    for count in (1, 10):
        begun = [begin(user) for user in users for _ in range(count)]
        with CaptureQueriesContext(connection) as queries:
            end(*begun)
        asked.append(len(queries))
    assert asked == [5, 5]


@pytest.mark.django_db(transaction=True)
def test_rows_that_many_make_at_the_same_moment_count_all() -> None:
    """There is neither a line of the day nor an account yet, of the users or of the site."""
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(2)]
    barrier = Barrier(4)

    def charge_all() -> None:
        try:
            barrier.wait(10)
            for user in users:
                charge(user, "m", USED)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(charge_all) for _ in range(4)]:
            done.result()
    assert lines() == [("user0", "m", 4, 12, 16), ("user1", "m", 4, 12, 16)]
    accounts = Budget.objects.values_list("user__username", "daily_tokens", "weekly_tokens", "reserved")
    assert set(accounts) == {("user0", 28, 28, 0), ("user1", 28, 28, 0), (None, 56, 56, 0)}


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_in_a_circle() -> None:
    """Two processes end turns of the same users, in different orders; a third removes conversations meanwhile."""
    if connection.vendor != "postgresql":
        pytest.skip("Only there several write at once.")
    users = [get_user_model().objects.create_user(f"user{number}") for number in range(6)]
    rounds, barrier = 15, Barrier(3)

    def end_theirs(those: Sequence[Any]) -> None:
        try:
            for _ in range(rounds):
                barrier.wait(10)
                begun = [begin(user) for user in those]
                barrier.wait(10)
                end(*begun)
        finally:
            connections.close_all()

    def remove() -> None:
        try:
            for number in range(rounds):
                barrier.wait(10)
                barrier.wait(10)
                deletion.erase(users[number % len(users)])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(end_theirs, users), threads.submit(end_theirs, users[::-1]), threads.submit(remove)]
        for one in done:
            one.result()
    assert Budget.objects.get(is_site=True).daily_tokens == 2 * rounds * len(users) * 7
    assert sum(turns for _, _, turns, _, _ in lines()) == 2 * rounds * len(users)
