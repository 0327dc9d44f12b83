"""Turns in the store before a model is asked, and while they run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID, uuid4

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.integration.asked import begin, end, row_of, told
from tests.integration.conftest import Caller
from tests.integration.rest import Person, running_in
from tests.integration.stored import thread_of, turn_in
from waldur_chat import conf
from waldur_chat.errors import BudgetExhausted, ThreadBusy, ThreadNotFound
from waldur_chat.events import Delta, ProviderEvent, Usage
from waldur_chat.messages import Message as Said
from waldur_chat.messages import Prompt, Question
from waldur_chat.models import Budget, Message, Thread, Turn
from waldur_chat.providers.base import Provider
from waldur_chat.store.budgets import accounts
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.begin import SystemPromptText
from waldur_chat.store.turns.leases import LeaseUpdate

pytestmark = [pytest.mark.core, pytest.mark.django_db]
ASKED = (Said(role="user", text="Hello"),)


class LookingProvider(Provider):
    """Looks into the database when it is asked."""

    writes_titles = False
    seen: ClassVar[list[tuple[str, str, str]]] = []

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        self.seen.extend(await sync_to_async(_running, thread_sensitive=False)())
        yield Delta(text="Hello")


def _running() -> list[tuple[str, str, str]]:
    try:
        return list(Turn.objects.values_list("status", "question__text", "thread__name"))
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_question_and_turn_are_stored_when_the_model_is_asked(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": f"{__name__}.LookingProvider"}}}
    LookingProvider.seen.clear()
    assert call.post(f"/api/chat/{operation}/", {"input": "Cats?"}).status == 200
    assert LookingProvider.seen == [("running", "Cats?", "Cats?")]


def test_a_turn_that_begins_runs_and_has_an_end_of_its_lease(alice: Person) -> None:
    turn = row_of(begin(alice.user))
    assert (turn.status, turn.user, turn.expires > timezone.now()) == ("running", alice.user, True)


def test_a_question_counts_as_a_message_at_once(alice: Person) -> None:
    assert Thread.objects.get(uuid=begin(alice.user).thread).message_count == 1


def test_an_edited_question_does_not_count_again(alice: Person) -> None:
    begun = begin(alice.user)
    end(begun)
    asked = Message.objects.get(uuid=begun.question)
    begin(alice.user, "New", thread=UUID(begun.thread), mode="edit", edited=asked.uuid)
    assert Thread.objects.get().message_count == 2


def test_the_first_words_name_a_new_conversation(alice: Person) -> None:
    begin(alice.user, promise=Reservation(first_words="Cats"))
    assert Thread.objects.get().name == "Cats"


@pytest.mark.parametrize("fields", [{"name": "Dogs"}, {"is_named": True}])
def test_the_first_words_replace_no_name(alice: Person, fields: dict[str, Any]) -> None:
    thread = thread_of(alice.user, **fields)
    begin(alice.user, thread=thread.uuid, promise=Reservation(first_words="Cats"))
    assert Thread.objects.get().name == thread.name


def test_a_title_is_a_turn_beside_the_answers(alice: Person) -> None:
    begun = begin(alice.user, promise=Reservation(title_input_tokens=10))
    assert Turn.objects.get(uuid=begun.title_turn).purpose == "title"


@pytest.mark.parametrize("fields", [{"name": "Dogs"}, {"is_named": True}])
def test_a_conversation_with_a_name_gets_no_title(alice: Person, fields: dict[str, Any]) -> None:
    thread = thread_of(alice.user, **fields)
    assert begin(alice.user, thread=thread.uuid, promise=Reservation(title_input_tokens=10)).title_turn == ""


def test_an_opening_gets_no_title(alice: Person) -> None:
    assert begin(alice.user, None, promise=Reservation(title_input_tokens=10)).title_turn == ""


def test_the_system_prompt_comes_first(alice: Person) -> None:
    begun = begin_turns.begin_stored(
        alice.user,
        Question(text="Hello"),
        conf.load(),
        Reservation(),
        [],
        SystemPromptText(text="Be kind."),
        begin_turns.IdempotencyInfo(),
    )
    assert [message.role for message in begun.messages] == ["system", "user"]


@pytest.mark.parametrize(("is_enforced", "limit"), [(True, 50), (False, 1000 - 16 - 5)])
def test_an_answer_may_have_all_that_is_left_or_what_its_provider_limits(
    alice: Person, settings: Any, is_enforced: bool, limit: int
) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000}
    reserved = begin(alice.user, promise=Reservation(output_tokens=50, is_enforced=is_enforced)).reserved
    assert reserved
    assert (reserved.output_limit, reserved.is_enforced) == (limit, is_enforced)


def test_each_turn_holds_what_it_likely_needs(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000}
    begun = begin(alice.user, "Hello", promise=Reservation(output_tokens=50, title_input_tokens=10))
    held = len("Hello") + 16 + 32
    assert (row_of(begun).reserved, Turn.objects.get(uuid=begun.title_turn).reserved) == (held, 10 + 32)
    assert Budget.objects.get(user=alice.user).reserved == held + 10 + 32


def test_an_answer_that_can_only_be_short_holds_no_more(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000}
    assert row_of(begin(alice.user, "Hello", promise=Reservation(output_tokens=3))).reserved == 5 + 16 + 3


def test_a_title_that_does_not_fit_keeps_no_answer_back(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 100}
    begun = begin(alice.user, "Hello", promise=Reservation(output_tokens=50, title_input_tokens=60))
    assert (begun.title_turn, row_of(begun).reserved) == ("", 5 + 16 + 32)


def test_the_last_tokens_are_held_whatever_is_wanted(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000, "SITE_TOKENS_DAILY": 30}
    begun = begin(alice.user, "Hello", promise=Reservation(output_tokens=50, is_enforced=False))
    assert begun.reserved
    assert (begun.reserved.tokens, begun.reserved.output_limit, row_of(begun).reserved) == (30, 9, 30)
    assert set(Budget.objects.values_list("reserved", flat=True)) == {30}


def test_what_another_turn_takes_meanwhile_is_missing(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 100, "SITE_TOKENS_DAILY": 1000}
    limited = accounts.limited_accounts(alice.user, conf.load())
    Budget.objects.filter(user=alice.user).update(reserved=60)
    begun = begin_turns.begin_unstored(alice.user, ASKED, conf.load(), Reservation(output_tokens=50), limited)
    assert begun.reserved
    assert begun.reserved.tokens == row_of(begun).reserved == 40
    assert dict(Budget.objects.values_list("user", "reserved")) == {alice.user.pk: 100, None: 40}


def history_of(alice: Person, settings: Any, tokens: int) -> Any:
    """The turn of a question in a conversation that was long, with so many tokens left."""
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": tokens}
    thread = thread_of(alice.user, *["x" * 1000] * 8)
    return begin(alice.user, "ok?", thread=thread.uuid, promise=Reservation(output_tokens=50))


def test_history_is_shortened_to_what_is_left(alice: Person, settings: Any) -> None:
    begun = history_of(alice, settings, 5000)
    assert (begun.is_shortened, [role for role, _ in told(begun)]) == (
        True,
        ["user", "assistant", "user", "assistant", "user"],
    )


def test_history_that_fits_is_told(alice: Person, settings: Any) -> None:
    begun = history_of(alice, settings, 10_000)
    assert (begun.is_shortened, len(begun.messages)) == (False, 9)


def test_a_question_alone_needs_no_room_beside_it(alice: Person, settings: Any) -> None:
    begun = history_of(alice, settings, 20)
    assert (begun.is_shortened, told(begun), begun.reserved.tokens) == (True, [("user", "ok?")], 20)


def test_what_cannot_be_paid_for_leaves_nothing_behind(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    with pytest.raises(BudgetExhausted) as refused:
        begin(alice.user)
    assert (refused.value.needed, refused.value.left) == (22, 10)
    assert (Thread.objects.count(), Message.objects.count(), Turn.objects.count()) == (0, 0, 0)


def test_accounts_are_locked_last(alice: Person, settings: Any) -> None:
    """All turns of the site wait for its account: what is written under its lock makes them wait longer."""
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000, "SITE_TOKENS_DAILY": 1000}
    begin(alice.user)  # Makes the accounts.
    with CaptureQueriesContext(connection) as queries:
        begin(alice.user)
    writing = [one["sql"] for one in queries if one["sql"].startswith(("INSERT", "UPDATE"))]
    tables = ("thread", "message", "turn", "budget", "budget")
    assert len(writing) == len(tables)
    assert all(f"waldur_chat_{table}" in statement for table, statement in zip(tables, writing, strict=True))


def test_a_conversation_has_one_running_answer(alice: Person) -> None:
    begun = begin(alice.user)
    with pytest.raises(ThreadBusy) as busy:
        begin(alice.user, thread=UUID(begun.thread))
    assert (busy.value.turn, Message.objects.count()) == (begun.turn, 1)


def test_a_conversation_is_not_busy_where_no_turn_is_in_the_way(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def collide(*args: Any, **options: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(begin_turns, "find_position", collide)
    with pytest.raises(IntegrityError):
        begin(alice.user)


def test_a_conversation_that_is_deleted_meanwhile_is_not_found(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    thread = thread_of(alice.user)
    monkeypatch.setattr(begin_turns, "_own_thread", lambda user, uuid: thread)
    Thread.objects.all().delete()
    thread.pk = 1
    with pytest.raises(ThreadNotFound):
        begin(alice.user, thread=thread.uuid)


def test_a_turn_without_a_conversation_leaves_no_message(alice: Person) -> None:
    begun = begin_turns.begin_unstored(alice.user, ASKED, conf.load(), Reservation(), [])
    assert (begun.is_title, row_of(begun).thread, Message.objects.count()) == (False, None, 0)


def test_a_turn_that_names_a_conversation_is_its_title(alice: Person) -> None:
    thread = thread_of(alice.user)
    begun = begin_turns.begin_unstored(alice.user, ASKED, conf.load(), Reservation(), [], thread.uuid)
    end(begun, "Cats")
    assert (begun.is_title, Thread.objects.get().name, Message.objects.count()) == (True, "Cats", 0)


def test_only_ones_own_conversation_can_be_named(alice: Person, bob: Person) -> None:
    with pytest.raises(ThreadNotFound):
        begin_turns.begin_unstored(alice.user, ASKED, conf.load(), Reservation(), [], thread_of(bob.user).uuid)


def test_a_turn_is_renewed_with_what_it_used(alice: Person) -> None:
    turn = turn_in(thread_of(alice.user))
    leases.renew({turn.uuid.hex: LeaseUpdate(model="m", usage=Usage(input_tokens=5, output_tokens=6))})
    turn.refresh_from_db()
    assert (turn.input_tokens, turn.output_tokens, turn.model) == (5, 6, "m")
    assert turn.expires > timezone.now() + timedelta(seconds=leases.LEASE_SECONDS / 2)


def test_a_turn_that_has_used_nothing_yet_is_renewed_as_it_is(alice: Person) -> None:
    turn = turn_in(thread_of(alice.user), input_tokens=5)
    leases.renew({turn.uuid.hex: LeaseUpdate()})
    turn.refresh_from_db()
    assert (turn.input_tokens, turn.expires > timezone.now()) == (5, True)


@pytest.mark.parametrize("count", [1, 20])
def test_renewing_many_asks_once_for_each_model(alice: Person, count: int, django_assert_num_queries: Any) -> None:
    models = {turn_in(thread_of(alice.user)).uuid.hex: model for model in ("m", "n" * 300) for _ in range(count)}
    with django_assert_num_queries(2):
        leases.renew({turn: LeaseUpdate(model=model) for turn, model in models.items()})
    assert {turn.model for turn in Turn.objects.all()} == {"m", "n" * 200}


def test_what_a_turn_asked_stays_known_when_it_is_not_told_again(alice: Person) -> None:
    turn = turn_in(thread_of(alice.user), model="m")
    leases.renew({turn.uuid.hex: LeaseUpdate()})
    turn.refresh_from_db()
    assert turn.model == "m"


def test_a_turn_that_has_ended_is_not_renewed(alice: Person) -> None:
    turn = turn_in(None, ended=timezone.now())
    leases.renew({turn.uuid.hex: LeaseUpdate(usage=Usage(input_tokens=5, output_tokens=6)), uuid4().hex: LeaseUpdate()})
    turn.refresh_from_db()
    assert turn.input_tokens == 0


def test_a_turn_can_be_stopped_from_anywhere(alice: Person) -> None:
    turn, other = running_in(thread_of(alice.user)), running_in(thread_of(alice.user))
    leases.request_turn_cancel(turn.uuid.hex)
    assert leases.cancelled_turns() == [turn.uuid.hex]
    assert leases.request_cancel(other.thread) == [other.uuid.hex]
    assert set(leases.cancelled_turns()) == {turn.uuid.hex, other.uuid.hex}


def test_nothing_is_stopped_where_nothing_runs(alice: Person) -> None:
    assert leases.request_cancel(thread_of(alice.user)) == []
