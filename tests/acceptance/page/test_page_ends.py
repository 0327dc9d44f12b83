"""How answers end: said at that moment, and the same after a reload; what the reader can do then."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acceptance.page.answers import END, Answer, Step, event, refusal, words
from tests.acceptance.page.reader import Reader, expect
from waldur_chat import errors

LENGTH = event("end", c="", finish_reason="length")
FILTERED = event("end", c="", finish_reason="content_filter")
CANCELLED = event("cancelled", detail="The answer was stopped.", code="cancelled", retryable=True)


def failed(kind: type[errors.ChatError]) -> bytes:
    """The event of this error, as the API sends it."""
    return event("error", detail=kind.sentence, code=kind.code, retryable=kind.retryable)


def refused(kind: type[errors.ChatError]) -> Answer:
    """The response of this error, as the API sends it."""
    return refusal(kind.status, {"detail": kind.sentence, "code": kind.code})


ENDS = {
    "complete": words("Uno", END),
    "length": words("Uno", LENGTH),
    "filtered": words("Uno", FILTERED),
    "filtered at once": words(FILTERED),
    "stopped": words("Uno", CANCELLED),
    "stopped at once": words(CANCELLED),
    "interrupted": words("Uno", failed(errors.TurnInterrupted)),
    "failed": words("Uno", failed(errors.ProviderFailed)),
    "failed at once": refused(errors.ProviderBusy),
    "thoughts only": words(event("reasoning", reasoning="Hm"), failed(errors.ProviderEmpty)),
    "too long": words("Uno", failed(errors.AnswerTooLong)),
    "refused": refused(errors.ProviderRefusedQuestion),
    "context": refused(errors.ContextExceeded),
    "settings": refused(errors.ProviderRefused),
    "warned": words(event("warning", warning="Earlier messages were left out.", code="x"), "Uno", END),
}


ANSWERED_BEFORE = ["length", "stopped", "stopped at once", "failed at once", "refused"]


def state(reader: Reader) -> dict[str, Any]:
    """What the last turn shows, but for thoughts, which nobody stores."""
    shown: dict[str, Any] = reader.log.get_by_role("article").last.evaluate(
        """(turn) => {
            turn.querySelector(".thinking").hidden = true;
            const buttons = [...turn.querySelectorAll("button")].filter((one) => one.checkVisibility());
            return {
                words: turn.innerText,
                isError: turn.querySelector(".outcome").classList.contains("error"),
                buttons: buttons.map((one) => one.dataset.act),
            };
        }"""
    )
    return shown


def is_the_same_after_a_reload(keeper: Reader) -> None:
    expect(keeper.log.locator("[aria-busy]")).to_have_count(0)
    expect(keeper.button("Edit")).to_have_count(1)  # The page knows what is stored.
    at_that_moment = state(keeper)
    keeper.page.reload()
    expect(keeper.page.get_by_role("status")).to_contain_text("Conversation opened: ")
    assert state(keeper) == at_that_moment


class TestReload:
    @pytest.mark.parametrize("name", list(ENDS))
    def test_the_end_of_a_first_question_is_the_same(self, keeper: Reader, name: str) -> None:
        keeper.open_kept()
        keeper.ask("One?", ENDS[name])

        is_the_same_after_a_reload(keeper)

    @pytest.mark.parametrize("name", ANSWERED_BEFORE)
    def test_the_end_of_another_answer_is_the_same(self, keeper: Reader, name: str) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Eins", END))
        keeper.server.answer(ENDS[name])
        keeper.button("Answer again").click()

        is_the_same_after_a_reload(keeper)

    @pytest.mark.parametrize("name", ANSWERED_BEFORE)
    def test_the_end_of_an_edited_question_is_the_same(self, keeper: Reader, name: str) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Eins", END))
        keeper.server.answer(ENDS[name])
        keeper.button("Edit").click()
        keeper.log.get_by_role("textbox").fill("Two?")
        keeper.button("Ask again").click()

        is_the_same_after_a_reload(keeper)


class TestAfterAReload:
    def open(self, keeper: Reader, *, status: str, code: str = "", answer: str = "") -> str:
        """Open a conversation whose question ended like this; give its UUID."""
        thread = keeper.kept.thread("Spain", "One?")
        if answer:
            thread.add("a" * 32, "assistant", answer, 1, status=status, code=code)
        else:
            thread.messages[0].update(status=status, code=code)
        keeper.open_kept(thread.uuid)
        return thread.uuid

    @pytest.mark.parametrize("answer", ["", "Half"])
    def test_trying_again_answers_the_stored_question(self, keeper: Reader, answer: str) -> None:
        thread = self.open(keeper, status="failed", code="provider_failed", answer=answer)
        expect(keeper.log.locator(".outcome.error p")).to_have_text(errors.ProviderFailed.sentence)
        keeper.server.answer(words("Uno", END))
        keeper.button("Try again").click()

        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.log.locator(".outcome")).to_be_hidden()
        assert keeper.server.asked[0].body == {"input": "One?", "thread_uuid": thread, "mode": "reload"}

    @pytest.mark.parametrize("code", ["question_refused", "context_exceeded"])
    def test_a_question_that_was_refused_is_edited(self, keeper: Reader, code: str) -> None:
        thread = self.open(keeper, status="failed", code=code)
        expect(keeper.button("Try again")).to_have_count(0)
        keeper.button("Edit question").click()
        keeper.log.get_by_role("textbox").fill("Two?")
        keeper.server.answer(words("Dos", END))
        keeper.button("Ask again").click()

        expect(keeper.answer).to_have_text("Dos")
        assert keeper.server.asked[0].body["mode"] == "edit"
        assert keeper.server.asked[0].body["thread_uuid"] == thread

    def test_an_error_of_a_later_release_is_told_in_general(self, keeper: Reader) -> None:
        self.open(keeper, status="failed", code="from_the_future")

        expect(keeper.log.locator(".outcome.error p")).to_have_text("The assistant could not finish its answer.")
        expect(keeper.button("Try again")).to_be_visible()

    def test_an_earlier_version_shows_its_own_end(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        thread.add("a" * 32, "assistant", "Eins", 1, status="length")
        keeper.open_kept(thread.uuid)
        outcome = keeper.log.locator(".outcome")
        expect(outcome).to_contain_text("The answer was cut off at its length limit.")

        keeper.button("Previous version").click()
        expect(outcome).to_be_hidden()


def test_what_was_finished_before_it_could_be_stopped_is_shown_whole(keeper: Reader) -> None:
    keeper.open_kept()
    keeper.ask("One?", words("Half", Step.WAIT))
    expect(keeper.answer).to_have_text("Half")
    keeper.kept.when_read = lambda thread: thread.messages[1:] or thread.add("a" * 32, "assistant", "Half and half", 1)
    keeper.button("Stop").click()

    expect(keeper.answer).to_have_text("Half and half")
    expect(keeper.log.locator(".outcome")).to_be_hidden()


def test_a_warning_is_shown_and_heard(keeper: Reader) -> None:
    keeper.open_kept()
    keeper.ask(
        "One?", words(event("warning", warning="Earlier messages were left out.", code="x"), Step.WAIT, "Uno", END)
    )
    expect(keeper.log.get_by_text("Earlier messages were left out.")).to_be_visible()
    keeper.server.go()

    keeper.hears("Earlier messages were left out. Answer complete.")
    expect(keeper.answer).to_have_text("Uno")


def test_answers_are_marked_as_generated(keeper: Reader) -> None:
    keeper.open_kept()
    keeper.ask_and_wait("One?", words("Uno", END))

    expect(keeper.log.locator("[data-ai-generated=true]")).to_contain_text("Uno")
    expect(keeper.log.get_by_role("heading", name="Assistant (AI-generated)")).to_be_attached()
