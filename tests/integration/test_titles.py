"""Conversations get a title: of the model, beside the first answer, or else of the question."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.integration.chatting import USAGE, only_thread, titling, until
from tests.integration.stored import thread_of, turn_in
from tests.integration.turning import finish, prepare
from waldur_chat import chat
from waldur_chat.errors import ChatNotConfigured, ProviderBusy
from waldur_chat.events import Delta, Reasoning, ReasoningWasAnswer, Stopped, Usage
from waldur_chat.models import Budget, DayOfUsage, Thread, Turn
from waldur_chat.models.conversations import NEW_CHAT
from waldur_chat.runtime.loop import background_loop
from waldur_chat.testing import scripted
from waldur_chat.turns import titles

QUESTION = "What is a VPC?"
NOT_ASKED = "A title that nobody asked for"


def test_the_model_names_a_new_conversation(user: Any) -> None:
    with titling("Private ", Reasoning(text="Hm."), "clouds", Stopped(reason="stop")) as asked:
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == "Private clouds"
    assert asked.prompts[0].question == titles.ASK + QUESTION
    assert asked.prompts[0].max_output_tokens == titles.OUTPUT_TOKENS


def test_thoughts_that_were_the_answer_are_the_title(user: Any) -> None:
    with titling(Reasoning(text="Clouds"), ReasoningWasAnswer(text="Clouds")):
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == "Clouds"


def test_what_was_cut_off_is_no_title(user: Any) -> None:
    with titling("Okay, the user wants a title for", Stopped(reason="length")):
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == QUESTION


def test_a_title_is_summed_up_and_charged_apart_from_the_answer(user: Any) -> None:
    with titling("Clouds", USAGE, answer=["Hello", Usage(input_tokens=100, output_tokens=10)]):
        chat.invoke(QUESTION, user=user)
        thread = only_thread()
    assert (thread.title_input_tokens, thread.title_output_tokens) == (7, 5)
    assert (thread.input_tokens, thread.output_tokens) == (107, 15)
    day = DayOfUsage.objects.get(user=user)
    assert (day.turns, day.input_tokens, day.output_tokens) == (1, 107, 15)


def test_what_was_reserved_for_a_title_is_given_back(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 100_000}
    with titling("Clouds", USAGE, answer=["Hello", USAGE]):
        chat.invoke(QUESTION, user=user)
        only_thread()
    budget = Budget.objects.get(user=user)
    assert (budget.reserved, budget.daily_tokens) == (0, 24)


def test_a_title_that_hangs_does_not_delay_the_answer(user: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(titles, "SECONDS", 2.0)
    with titling(60) as asked:
        assert str(chat.invoke(QUESTION, user=user)) == "Hello"
        assert not asked.closed
        assert only_thread().name == QUESTION
    assert asked.closed == 1


@pytest.mark.parametrize("steps", [(ProviderBusy(),), ("Cl", ProviderBusy()), ("",), ("x" * 2000, "y")])
def test_where_the_model_finds_no_title_the_question_is_it(user: Any, steps: tuple[Any, ...]) -> None:
    with titling(*steps):
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == QUESTION


def test_a_title_that_is_too_long_is_not_read_to_its_end(user: Any) -> None:
    with titling("first", *["x" * 2000] * 3, 60) as asked:
        chat.invoke(QUESTION, user=user)
        assert only_thread().title_output_tokens < 2000
    assert asked.closed == 1


def test_a_provider_that_writes_no_titles_is_not_asked(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": True}
    with scripted("Hello") as provider:
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == QUESTION
    assert provider.opened == 1


def test_a_title_has_at_most_150_characters(user: Any) -> None:
    with titling("x" * 400):
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == "x" * 150


def test_a_name_that_was_given_is_not_replaced(user: Any) -> None:
    thread = thread_of(user, name="Mine", is_named=True)
    with titling(NOT_ASKED) as asked:
        chat.invoke(QUESTION, user=user, thread=thread.uuid)
        assert only_thread().name == "Mine"
    assert not asked.opened


def test_a_name_that_was_given_meanwhile_stays(user: Any) -> None:
    named = threading.Event()
    with titling(named, "Clouds") as asked:
        chat.invoke(QUESTION, user=user)
        Thread.objects.update(name=NEW_CHAT, is_named=True)
        named.set()
        assert only_thread().name == NEW_CHAT
    assert asked.opened == 1


def test_where_titles_are_off_none_is_asked_for(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"TITLES": False}
    with titling(NOT_ASKED) as asked:
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == NEW_CHAT
    assert not asked.opened


def test_the_assistants_opening_is_given_no_title(user: Any) -> None:
    with titling(NOT_ASKED) as asked:
        chat.invoke(user=user)
        assert only_thread().name == NEW_CHAT
    assert not asked.opened


def test_a_turn_that_fails_before_it_answers_asks_for_no_title(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 100_000, "ATTEMPTS": 1}
    with titling(NOT_ASKED, answer=[ProviderBusy()]) as asked, pytest.raises(ProviderBusy):
        chat.invoke(QUESTION, user=user)
    assert only_thread().name == NEW_CHAT
    assert not asked.opened
    assert Budget.objects.get(user=user).reserved == 0


def test_the_question_after_one_that_failed_asks_for_the_title(user: Any) -> None:
    with titling(NOT_ASKED, answer=[ProviderBusy()]), pytest.raises(ProviderBusy):
        chat.invoke("What went wrong?", user=user)
    with titling("Clouds") as asked:
        chat.invoke(QUESTION, user=user, thread=only_thread().uuid)
        assert only_thread().name == "Clouds"
    assert asked.prompts[0].question == titles.ASK + QUESTION
    assert asked.opened == 1


def test_the_next_question_stops_a_title_that_is_still_being_found(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 100_000}
    with titling(60) as asked:
        chat.invoke(QUESTION, user=user)
        until(lambda: asked.opened)
        chat.invoke("And a subnet?", user=user, thread=Thread.objects.get().uuid)
        assert only_thread().name == QUESTION
    assert (asked.opened, asked.closed) == (1, 1)
    assert sorted(Turn.objects.values_list("purpose", "status")) == [("answer", "finished")] * 2 + [
        ("title", "finished")
    ]
    assert Budget.objects.get(user=user).reserved == 0


def test_a_title_that_another_process_finds_is_stopped_there(user: Any) -> None:
    thread = thread_of(user, "a", "b")
    title = turn_in(thread, user=user, purpose="title")
    with titling(NOT_ASKED) as asked:
        chat.invoke(QUESTION, user=user, thread=thread.uuid)
        until(lambda: not Turn.objects.filter(purpose="answer", status="running").exists())
    assert Turn.objects.get(pk=title.pk).is_cancelled
    assert not asked.opened


def test_a_title_that_another_process_wants_stopped_is_stopped_here(user: Any) -> None:
    with titling(60) as asked:
        chat.invoke(QUESTION, user=user)
        until(lambda: asked.opened)
        Turn.objects.filter(purpose="title").update(is_cancelled=True)
        assert only_thread().name == QUESTION
    assert asked.closed == 1


@pytest.mark.parametrize(("fields", "opened"), [({"model": "m"}, 0), ({"model": ""}, 1)])
def test_a_model_is_asked_for_a_title_once(user: Any, fields: dict[str, str], opened: int) -> None:
    thread = thread_of(user, "a", "b")
    turn_in(thread, user=user, purpose="title", ended=thread.created, **fields)
    with titling("Clouds") as asked:
        chat.invoke(QUESTION, user=user, thread=thread.uuid)
        only_thread()
    assert asked.opened == opened


def test_a_title_that_is_asked_for_later_is_about_its_question_alone(user: Any) -> None:
    thread = thread_of(user, "a question without an answer")
    with titling("Clouds") as asked:
        chat.invoke(QUESTION, user=user, thread=thread.uuid)
        only_thread()
    assert asked.prompts[0].question == titles.ASK + QUESTION


def test_a_search_that_has_not_begun_has_nothing_to_stop(user: Any) -> None:
    answers = threading.Event()
    with titling("Clouds", answer=[answers, "Hello"]):
        turn = prepare(user, QUESTION)
        turn.start(background_loop())
        until(lambda: turn.thread in titles._searches())
        titles.stop_search(turn.thread)
        answers.set()
        finish(turn)
        assert only_thread().name == "Clouds"


def test_a_title_that_cannot_be_stored_is_logged(user: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    async def fail(*args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(titles, "record", fail)
    with titling("Clouds"):
        chat.invoke(QUESTION, user=user)
        until(lambda: "The title of a conversation could not be stored: RuntimeError" in caplog.messages)
    assert "secret" not in caplog.text
    Turn.objects.filter(purpose="title").update(status="finished")


def test_a_title_and_an_answer_are_turns_of_their_own(user: Any) -> None:
    with titling("Clouds"):
        chat.invoke(QUESTION, user=user)
        only_thread()
    assert sorted(Turn.objects.values_list("purpose", "status")) == [("answer", "finished"), ("title", "finished")]


def test_a_provider_that_does_not_exist_is_told_of_by_the_turn(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": "nowhere.Provider"}}}
    with pytest.raises(ChatNotConfigured):
        chat.invoke(QUESTION, user=user)
    assert only_thread().name == QUESTION


def test_half_a_character_in_a_title_is_replaced(user: Any) -> None:
    with titling("Clouds \ud83d", Delta(text="\ude42 \ud83d")):
        chat.invoke(QUESTION, user=user)
        assert only_thread().name == "Clouds 🙂 \ufffd"
