"""From a question to a turn: what the model is told, what it may cost, and which turn makes room for which."""

from __future__ import annotations

import math
import time
from typing import Any
from uuid import UUID, uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import connection

from tests.integration.chatting import USAGE, TitlingProvider, only_thread, settled, titling
from tests.integration.dying import seen_unchanged
from tests.integration.rest import running_in
from tests.integration.stored import thread_of, turn_in
from tests.unit.aio import scripted_spec, settings_with
from waldur_chat import chat, registry
from waldur_chat.chat import asking
from waldur_chat.conf import ProviderSpec
from waldur_chat.errors import BudgetExhausted, ChatNotConfigured, ThreadBusy, ThreadNotFound
from waldur_chat.events import HISTORY_OVER_BUDGET, Cancelled, Finished, Started
from waldur_chat.messages import Question
from waldur_chat.models import Budget, DayOfUsage, Message, Thread, Turn
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.budgets import reservations
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.conversations import system_prompts
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import leases
from waldur_chat.testing import Script, scripted
from waldur_chat.turns import start

pytestmark = pytest.mark.core

BROKEN = ProviderSpec(name="broken", backend="waldur_chat.nowhere.Provider", options={}, place="a test")
LIMITED = {"USER_TOKENS_DAILY": 10_000}


@pytest.fixture(autouse=True)
def stored(settings: Any) -> None:
    """Turns are stored."""
    settings.WALDUR_CHAT = {"ATTEMPTS": 1, "STORAGE": True}


@pytest.fixture
def limited(settings: Any) -> None:
    """Tokens are limited, and nothing is stored but these."""
    settings.WALDUR_CHAT = {"ATTEMPTS": 1, "STORAGE": False, **LIMITED}


def told(**asked: Any) -> list[tuple[str, str]]:
    """What the model is told."""
    with scripted("Hello") as provider:
        chat.invoke("Hi", **asked)
    return [(message.role, message.text) for message in provider.prompts[0].messages]


def invoke(text: str | None, **asked: Any) -> str:
    return str(chat.invoke(text, **asked))


def ainvoke(text: str | None, **asked: Any) -> str:
    return str(async_to_sync(chat.ainvoke)(text, **asked))


def stream(text: str | None, **asked: Any) -> str:
    return str(chat.collect(list(chat.stream(text, **asked))))


def astream(text: str | None, **asked: Any) -> str:
    async def main() -> str:
        return str(chat.collect([event async for event in chat.astream(text, **asked)]))

    return async_to_sync(main)()


all_four = pytest.mark.parametrize("ask", [invoke, ainvoke, stream, astream])


@all_four
def test_what_a_user_asks_is_stored_in_a_new_conversation_of_his(user: Any, ask: Any) -> None:
    with scripted("Hello"):
        assert ask("Hi", user=user) == "Hello"
    thread = only_thread()
    assert thread.session.user == user
    assert list(thread.messages.order_by("sequence_index").values_list("text", flat=True)) == ["Hi", "Hello"]


@all_four
def test_a_conversation_goes_on_with_its_history(user: Any, ask: Any) -> None:
    thread = thread_of(user, "One?", "1.")
    with scripted("2.") as provider:
        ask("Two?", user=user, thread=thread.uuid)
    assert [message.text for message in provider.prompts[0].messages] == ["One?", "1.", "Two?"]
    assert thread.messages.count() == 4


@all_four
def test_without_a_user_nothing_is_stored(transactional_db: None, ask: Any) -> None:
    with scripted("Hello"):
        assert ask("Hi") == "Hello"
    assert not Thread.objects.exists()
    assert not Turn.objects.exists()


def test_nobody_asks_in_the_conversation_of_another(user: Any) -> None:
    thread = thread_of(get_user_model().objects.create_user("bob"))
    with scripted("Hello") as provider, pytest.raises(ThreadNotFound):
        chat.invoke("Hi", user=user, thread=thread.uuid)
    assert not provider.opened


def test_of_a_user_only_the_key_is_needed(user: Any) -> None:
    class Key:
        pk = user.pk

    with scripted("Hello", USAGE):
        chat.invoke("Hi", user=Key())
    assert only_thread().session.user == user
    assert DayOfUsage.objects.get().user == user


def test_the_assistant_opens_a_conversation_that_has_no_question(user: Any) -> None:
    with scripted("Welcome!") as provider:
        chat.invoke(user=user)
    assert provider.prompts[0].opens
    assert list(only_thread().messages.values_list("role", "text")) == [("assistant", "Welcome!")]


def test_the_model_is_told_the_sites_prompt_and_then_that_of_staff(user: Any, settings: Any) -> None:
    names = {"ASSISTANT_NAME": "Ada", "ORGANIZATION": "the Institute"}
    settings.WALDUR_CHAT = {"SYSTEM_PROMPT": "You are {assistant_name}.", "STORAGE": True, **names}
    prompt = system_prompts.create(user, name="Kind", custom_instructions="Serve {organization}, not {others}.")
    system_prompts.activate(prompt)
    assert told(user=user)[0] == ("system", "You are Ada.\n\nServe the Institute, not {others}.")
    assert Turn.objects.get().system_prompt == prompt.versions.get()


def test_custom_instructions_come_after_the_prompt_of_staff(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {
        "STORAGE": True,
        "CUSTOM_INSTRUCTIONS": "Call the site {organization}.",
        "ORGANIZATION": "X",
    }
    assert told(user=user)[0] == ("system", "Call the site X.")
    system_prompts.activate(system_prompts.create(user, name="Kind", custom_instructions="Be kind."))
    assert told(user=user)[0] == ("system", "Be kind.\n\nCall the site X.")


def test_the_prompt_of_staff_stands_alone_where_the_site_has_none(user: Any) -> None:
    system_prompts.activate(system_prompts.create(user, name="Kind", custom_instructions="Be kind."))
    assert told(user=user) == [("system", "Be kind."), ("user", "Hi")]


def test_who_asks_without_a_user_is_told_the_sites_prompt_alone(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"SYSTEM_PROMPT": "Be brief."}
    system_prompts.activate(system_prompts.create(user, name="Kind", custom_instructions="Be kind."))
    assert told() == [("system", "Be brief."), ("user", "Hi")]


def test_without_storage_no_row_is_written(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    assert told(user=user) == [("user", "Hi")]
    assert not Turn.objects.exists()
    assert not Thread.objects.exists()
    assert not DayOfUsage.objects.exists()


def test_without_storage_tokens_are_charged_and_no_turn_is_left(user: Any, limited: None) -> None:
    with scripted("Hello", USAGE):
        chat.invoke("Hi", user=user)
    settled()
    budget = Budget.objects.get(user=user)
    assert (budget.daily_tokens, budget.reserved) == (12, 0)
    assert not Turn.objects.exists()
    assert not Message.objects.exists()


def test_without_storage_tokens_are_reserved_while_the_turn_runs(user: Any, limited: None) -> None:
    with scripted("Hello", 60):
        events = chat.stream("Hi", user=user)
        next(events)
        assert Budget.objects.get(user=user).reserved > reservations.FIRST_OUTPUT_TOKENS
        events.close()
        settled()
    assert Budget.objects.get(user=user).reserved == 0


def test_without_storage_the_assistant_may_open_on_a_budget(user: Any, limited: None) -> None:
    with scripted("Welcome!") as provider:
        chat.invoke(user=user)
    assert provider.prompts[0].opens


def test_an_answer_grows_as_far_as_tokens_are_left(user: Any, limited: None) -> None:
    with scripted(*["x" * 400] * 50):
        answer = chat.invoke("Hi", user=user)
    assert (answer.reason, len(answer.text)) == ("stop", 20_000)


def test_an_answer_is_ended_where_nothing_is_left(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False, "USER_TOKENS_DAILY": 318}
    with scripted(*["x" * 4] * 1000, 60) as provider:
        answer = chat.invoke("Hi", user=user)
    assert (answer.reason, answer.text, provider.closed) == ("length", "x" * 1200, 1)


def test_history_that_a_short_budget_leaves_out_is_told_to_the_reader(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "USER_TOKENS_DAILY": 3000}
    thread = thread_of(user, *["x" * 1000] * 8)
    with scripted("Yes") as provider:
        assert chat.invoke("ok?", user=user, thread=thread.uuid).warning == HISTORY_OVER_BUDGET
    assert len(provider.prompts[0].messages) == 3


def test_the_provider_is_told_what_is_left(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False, "USER_TOKENS_DAILY": 318}
    with scripted("Hello") as provider:
        chat.invoke("Hi", user=user)
    assert provider.prompts[0].max_output_tokens == 300


def test_a_provider_with_a_limit_of_its_own_is_not_ended(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False, **LIMITED}
    with titling(answer=["x" * 4004, "y"]):
        assert chat.invoke("Hi", user=user).reason == "stop"


def test_who_has_used_his_tokens_is_refused(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    with scripted("Hello") as provider, pytest.raises(BudgetExhausted):
        chat.invoke("Hi", user=user)
    assert not provider.opened
    assert not Thread.objects.exists()


@pytest.mark.parametrize(
    ("scope", "setting"), [({"user": True}, "USER_TOKENS_DAILY"), ({"is_site": True}, "SITE_TOKENS_DAILY")]
)
def test_turns_of_dead_processes_give_back_what_they_held(
    user: Any, settings: Any, scope: dict[str, Any], setting: str
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, setting: 10_000}
    dead = turn_in(None, user=user, reserved=10_000)
    Budget.objects.create(reserved=10_000, **({"user": user} if "user" in scope else scope))
    with scripted("Hello"):
        with pytest.raises(BudgetExhausted):
            invoke("Hi", user=user)
        seen_unchanged(dead)
        assert invoke("Hi", user=user) == "Hello"


def test_providers_that_cannot_be_made_promise_nothing(db: None) -> None:
    scripted_one = scripted_spec(Script(steps=[]), "scripted")
    assert start._limits(settings_with(BROKEN)) == Reservation()
    assert not start._limits(settings_with(BROKEN, scripted_one)).is_enforced


def test_the_provider_that_may_say_most_limits_the_answer(db: None) -> None:
    path = f"{TitlingProvider.__module__}.{TitlingProvider.__qualname__}"
    nothing = Script(steps=[])
    spec = ProviderSpec(name="one", backend=path, options={"script": nothing, "title": nothing}, place="a test")
    assert registry.build(spec).max_output_tokens == 1000
    assert start._limits(settings_with(spec)) == Reservation(output_tokens=1000)
    assert not start._limits(settings_with(spec, scripted_spec(nothing, "scripted"))).is_enforced


def test_a_provider_that_cannot_be_made_costs_nothing(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {**LIMITED, "PROVIDERS": {"default": {"BACKEND": BROKEN.backend}}}
    with pytest.raises(ChatNotConfigured):
        chat.invoke("Hi", user=user)
    settled()
    budget = Budget.objects.get(user=user)
    assert (budget.daily_tokens, budget.reserved) == (0, 0)


def test_a_second_question_is_refused_while_the_first_is_answered(user: Any) -> None:
    thread = thread_of(user)
    turn = running_in(thread, user=user)
    with scripted("Hello"), pytest.raises(ThreadBusy) as refused:
        chat.invoke("Hi", user=user, thread=thread.uuid)
    assert refused.value.turn == turn.uuid.hex


@pytest.mark.parametrize(("unchanged", "wait"), [(None, 2), (0.0, None), (2.9, None), (3.5, -1.5), (7.0, -5)])
def test_a_refusal_says_when_it_is_known_whether_the_turn_in_the_way_is_dead(
    user: Any, unchanged: float | None, wait: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    thread = thread_of(user)
    turn = running_in(thread, user=user)
    if unchanged is not None:  # Else this process has not looked yet.
        seen_unchanged(turn, seconds=unchanged)
    with scripted("Hello"), pytest.raises(ThreadBusy) as refused:
        chat.invoke("Hi", user=user, thread=thread.uuid)
    expected = None if wait is None else math.ceil(leases.unchanged_seconds() + wait)
    assert refused.value.retry_after == expected


def test_a_second_question_takes_over_where_the_site_wants_it(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "BUSY_THREAD": "cancel"}
    with scripted("Hel", 60):
        first = chat.stream("Hi", user=user)
        started = next(first)
        assert isinstance(started, Started)
    with scripted("Bye"):
        assert invoke("Never mind", user=user, thread=UUID(started.thread)) == "Bye"
    assert isinstance(list(first)[-1], Cancelled)
    assert sorted(Turn.objects.values_list("status", flat=True)) == ["cancelled", "finished"]


def test_a_question_does_not_wait_for_ever_for_the_turn_before_it(
    user: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True, "BUSY_THREAD": "cancel"}
    monkeypatch.setattr(start, "WAIT_SECONDS", 0.1)
    thread = thread_of(user)
    running_in(thread, user=user)
    began = time.monotonic()
    with scripted("Hello"), pytest.raises(ThreadBusy):
        chat.invoke("Hi", user=user, thread=thread.uuid)
    assert 0.1 < time.monotonic() - began < 2
    assert Turn.objects.get().is_cancelled


def test_a_turn_of_a_dead_process_makes_room(user: Any) -> None:
    thread = thread_of(user)
    dead = turn_in(thread, user=user)
    seen_unchanged(dead)
    with scripted("Hello"):
        assert invoke("Hi", user=user, thread=thread.uuid) == "Hello"
    assert Turn.objects.get(pk=dead.pk).status == "interrupted"


def test_a_turn_that_ended_meanwhile_is_in_nobodys_way(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, refusals = begin_turns.begin_stored, [ThreadBusy("")]

    def refusing_once(*args: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return begin(*args)

    monkeypatch.setattr(begin_turns, "begin_stored", refusing_once)
    with scripted("Hello"):
        assert invoke("Hi", user=user) == "Hello"


def asked_for_a_name(user: Any, thread: UUID) -> Any:
    """What becomes of a question whose answer is the name of a conversation."""
    turn = chat.prepare(Question(text="A title, please.", names=thread), chat.load(), user=user)
    turn.start(background_loop())
    events: list[Any] = []
    while not chat.ended(events):
        events += turn.take_blocking()
    return events[-1]


def test_an_answer_may_be_the_name_of_a_conversation(user: Any) -> None:
    thread = thread_of(user, "One?", "1.")
    with scripted('"Numbers"', USAGE):
        assert isinstance(asked_for_a_name(user, thread.uuid), Finished)
    thread = only_thread()
    assert (thread.name, thread.title_input_tokens, thread.messages.count()) == ("Numbers", 7, 2)


def test_only_ones_own_conversation_may_be_named(user: Any) -> None:
    with scripted("Numbers"), pytest.raises(ThreadNotFound):
        asked_for_a_name(user, uuid4())


def test_what_runs_in_a_conversation_is_stopped(user: Any) -> None:
    with scripted("Hello", 60):
        events = chat.stream("Hi", user=user)
        next(events)
        chat.cancel_thread(Thread.objects.get())
        assert isinstance(list(events)[-1], Cancelled)
    assert Turn.objects.get().is_cancelled


def test_stopping_a_conversation_ends_turns_of_dead_processes(user: Any) -> None:
    thread = thread_of(user)
    seen_unchanged(turn_in(thread, user=user))
    chat.cancel_thread(thread)
    assert Turn.objects.get().status == "interrupted"


def test_stopping_a_conversation_in_which_nothing_runs_does_nothing(user: Any) -> None:
    thread = thread_of(user)
    chat.cancel_thread(thread)
    assert not Turn.objects.exists()


@pytest.mark.django_db
def test_a_turn_that_is_prepared_within_a_transaction_leaves_it_open() -> None:
    with scripted("Hello"):
        asking._prepare_in_thread(asking._asked("Hi", None, None, None, None, ""), None)
    assert connection.in_atomic_block
    assert connection.connection is not None
