"""Answers whose connection breaks, or whose page is left: the page comes back to them and shows exactly the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.page.answers import END, SOON, TURN, Answer, Step, at, end, event, refusal, words
from tests.acceptance.page.keeping import Thread
from tests.acceptance.page.reader import Reader, expect

BROKEN = words(SOON, at("4", "Half"))
"""An answer that ends without its end."""


def running(keeper: Reader, *exchange: str) -> Thread:
    """A thread in which an answer is being written."""
    thread = keeper.kept.thread("Spain", *exchange)
    thread.running_turn = TURN
    return thread


def rest(*pieces: bytes | Step) -> Answer:
    """What is left of an answer."""
    return Answer(body=pieces)


def last_ids(keeper: Reader) -> list[str | None]:
    """With what the page came back, each time."""
    return [asked.headers.get("last-event-id") for asked in keeper.server.rejoined]


def lose(keeper: Reader, question: str) -> list[str]:
    """Ask a question that does not arrive; gives the keys under which it was sent."""
    keys: list[str] = []

    def abort(route: Any) -> None:
        keys.append(route.request.headers["idempotency-key"])
        route.abort()

    keeper.page.route("**/stream/", abort)
    keeper.ask(question)
    keeper.hears("Reconnecting…")
    keeper.page.unroute("**/stream/")
    return keys


def kept_question(keeper: Reader) -> str | None:
    """What a reload would ask again."""
    kept: str | None = keeper.page.evaluate("sessionStorage.getItem('waldur-chat-question')")
    return kept


class TestBreaks:
    def test_a_broken_answer_goes_on_with_the_rest(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(rest(at("4", ""), at("10", " a word"), end("a" * 32)))
        keeper.ask_and_wait("One?", BROKEN)

        expect(keeper.answer).to_have_text("Half a word")
        expect(keeper.log.locator(".outcome")).to_be_hidden()
        expect(keeper.button("Good answer")).to_be_visible()
        keeper.hears("Answer complete.")
        assert [asked.body["path"] for asked in keeper.server.rejoined] == [f"/api/kept/turns/{TURN}/events/"]
        assert last_ids(keeper) == ["4"]

    def test_it_may_break_again_and_again(self, keeper: Reader) -> None:
        keeper.open_kept()
        pieces = [rest(SOON, at(str(5 + n), f"{n}")) for n in range(15)]
        keeper.server.rest(*pieces, rest(end("a" * 32)))
        keeper.ask_and_wait("One?", BROKEN)

        expect(keeper.answer).to_have_text("Half" + "".join(map(str, range(15))))
        assert last_ids(keeper) == [str(4 + n) for n in range(16)]

    def test_a_connection_that_is_cut_is_one_too(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words(SOON, at("4", "Half"), b"id: 5\ndata: {", Step.WAIT, Step.BREAK))
        expect(keeper.answer).to_have_text("Half")
        keeper.server.rest(rest(at("5", "!"), end("a" * 32)))
        keeper.server.go()

        expect(keeper.answer).to_have_text("Half!")
        assert last_ids(keeper) == ["4"]

    def test_a_break_before_the_first_word_gets_all(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(rest(at("3", "Uno"), end("a" * 32)))
        keeper.ask_and_wait("One?", Answer(body=(SOON, Step.BREAK)))

        expect(keeper.answer).to_have_text("Uno")
        assert last_ids(keeper) == [None]

    def test_while_it_is_broken_the_page_says_so(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words(b"retry: 1000\n\n", at("4", "Half")))
        keeper.hears("Reconnecting…")
        expect(keeper.log.locator(".waiting")).to_have_text(re.compile("Reconnecting…$"))
        expect(keeper.button("Stop")).to_be_visible()

        keeper.server.rest(rest(at("5", "!"), Step.WAIT, end("a" * 32)))
        expect(keeper.answer).to_have_text("Half!")
        expect(keeper.log.locator(".waiting")).not_to_contain_text("Reconnecting…")
        keeper.hears("")

    def test_stop_while_it_is_broken_cancels(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words(b"retry: 60000\n\n", at("4", "Half")))
        keeper.hears("Reconnecting…")
        keeper.button("Stop").click()

        expect(keeper.log.get_by_text("Stopped.")).to_be_visible()
        expect(keeper.answer).to_have_text("Half")
        keeper.until(lambda: len(keeper.kept.calls("POST /threads/")) == 1)
        assert keeper.server.rejoined == []

    def test_the_network_that_is_back_is_used_at_once(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(rest(at("5", "!"), end("a" * 32)))
        keeper.ask("One?", words(b"retry: 60000\n\n", at("4", "Half")))
        keeper.hears("Reconnecting…")
        keeper.page.evaluate("dispatchEvent(new Event('online'))")

        expect(keeper.answer).to_have_text("Half!")

    @pytest.mark.parametrize("status", [429, 500, 502, 503])
    def test_a_server_that_is_busy_is_asked_again(self, keeper: Reader, status: int) -> None:
        keeper.open_kept()
        keeper.server.rest(refusal(status, {}), rest(at("5", "!"), end("a" * 32)))
        keeper.ask_and_wait("One?", BROKEN)

        expect(keeper.answer).to_have_text("Half!")
        assert last_ids(keeper) == ["4", "4"]

    def test_a_server_that_says_when_is_not_asked_before(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(refusal(503, {}, Retry_After="2"), rest(at("5", "!"), end("a" * 32)))
        keeper.ask("One?", BROKEN)
        keeper.until(lambda: len(keeper.server.rejoined) == 1)
        keeper.page.wait_for_timeout(1500)
        assert len(keeper.server.rejoined) == 1

        expect(keeper.answer).to_have_text("Half!")

    def test_an_answer_that_is_not_there_any_more_is_looked_for_when_asked_again(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(refusal(404, {"detail": "There is no such answer."}))
        keeper.ask_and_wait("One?", BROKEN)
        expect(keeper.log).to_contain_text("There is no such answer.")
        (thread,) = keeper.kept.threads.values()
        thread.add("a" * 32, "assistant", "Half and half", 1)

        thread.running_turn = None
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Half and half")
        assert len(keeper.server.asked) == 1

    def test_a_failure_in_the_rest_is_the_end(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.server.rest(rest(at("5", "!"), event("error", detail="The model gave up.")))
        keeper.ask_and_wait("One?", BROKEN)

        expect(keeper.log.locator(".outcome p")).to_have_text("The model gave up.")
        expect(keeper.answer).to_have_text("Half!")
        assert len(keeper.server.rejoined) == 1

    def test_a_page_whose_server_keeps_nothing_does_not_come_back(self, reader: Reader) -> None:
        reader.ask_and_wait("One?", BROKEN)

        expect(reader.log).to_contain_text("The connection was lost before the answer was complete.")
        assert reader.server.rejoined == []


class TestQuestions:
    def test_each_has_a_key_of_its_own(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Uno", END))
        keeper.ask_and_wait("One?", words("Uno", END))
        keys = {asked.headers["idempotency-key"] for asked in keeper.server.asked}

        assert len(keys) == 2
        assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)

    def test_one_whose_response_was_lost_goes_again_with_its_key(self, keeper: Reader) -> None:
        keeper.open_kept()
        keys: list[str] = []

        def abort(route: Any) -> None:
            keys.append(route.request.headers["idempotency-key"])
            route.abort()

        keeper.page.route("**/stream/", abort, times=1)
        keeper.ask_and_wait("One?", words("Uno", END))

        expect(keeper.answer).to_have_text("Uno")
        assert [asked.headers["idempotency-key"] for asked in keeper.server.asked] == keys

    def test_one_that_had_not_arrived_when_the_page_was_left_goes_again_with_its_key(self, keeper: Reader) -> None:
        keeper.open_kept()
        keys = lose(keeper, "One?")
        keeper.server.answer(words(at("3", "Uno"), Step.WAIT, END))
        keeper.page.reload()

        expect(keeper.log.locator(".question p")).to_have_text("One?")
        expect(keeper.answer).to_have_text("Uno")
        keeper.server.go()
        expect(keeper.button("Good answer")).to_be_visible()
        (asked,) = keeper.server.asked
        assert asked.body == {"input": "One?"}
        assert asked.headers["idempotency-key"] in keys

    def test_one_that_is_answered_is_forgotten(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Uno", END))

        keeper.until(lambda: kept_question(keeper) is None)

    @pytest.mark.parametrize("how", ["New chat", "Stop"])
    def test_one_that_is_left_is_forgotten_at_once(self, keeper: Reader, how: str) -> None:
        keeper.open_kept()
        keeper.ask("One?", Answer(body=(Step.WAIT,)))
        keeper.until(lambda: len(keeper.server.asked) == 1)
        assert kept_question(keeper)
        keeper.button(how).click()

        keeper.until(lambda: kept_question(keeper) is None)


class TestOpening:
    def test_an_answer_that_is_being_written_is_shown(self, keeper: Reader) -> None:
        thread = running(keeper, "One?")
        keeper.server.rest(rest(at("3", "Uno"), Step.WAIT, at("5", "!!"), end("a" * 32)))
        keeper.open_kept(thread.uuid)
        expect(keeper.log.locator(".question p")).to_have_text("One?")
        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.button("Stop")).to_be_visible()

        keeper.server.go()
        expect(keeper.answer).to_have_text("Uno!!")
        expect(keeper.button("Good answer")).to_be_visible()
        expect(keeper.log.locator(".outcome")).to_be_hidden()
        keeper.hears("Answer complete.")
        assert last_ids(keeper) == [None]

    def test_stop_cancels_it(self, keeper: Reader) -> None:
        thread = running(keeper, "One?")
        keeper.server.rest(rest(at("3", "Uno"), Step.WAIT))
        keeper.open_kept(thread.uuid)
        expect(keeper.answer).to_have_text("Uno")
        keeper.button("Stop").click()

        expect(keeper.log.get_by_text("Stopped.")).to_be_visible()
        keeper.until(lambda: len(keeper.kept.calls(f"POST /threads/{thread.uuid}/cancel/")) == 1)

    def test_another_answer_to_the_same_question_is_its_next_version(self, keeper: Reader) -> None:
        thread = running(keeper, "One?", "Uno")
        keeper.server.rest(rest(at("3", "Eins"), Step.WAIT, end("a" * 32)))
        keeper.open_kept(thread.uuid)
        expect(keeper.answer).to_have_text("Eins")
        expect(keeper.log.locator(".answer .pager span")).to_have_text("2 / 2")

        keeper.server.go()
        keeper.button("Previous version").click()
        expect(keeper.answer).to_have_text("Uno")

    def test_an_edited_question_is_shown_while_it_is_answered(self, keeper: Reader) -> None:
        thread = running(keeper, "One?", "Uno")
        edited = thread.add("b" * 32, "user", "Two?", 0)
        edited["created"] = "2026-01-02T00:00:00Z"
        thread.put_before(edited)
        keeper.server.rest(rest(at("3", "Dos"), Step.WAIT, end("a" * 32, "b" * 32)))
        keeper.open_kept(thread.uuid)
        expect(keeper.log.locator(".question p")).to_have_text("Two?")
        expect(keeper.log.locator(".question .pager span")).to_have_text("2 / 2")
        expect(keeper.answer).to_have_text("Dos")

        keeper.server.go()
        expect(keeper.log.locator("[aria-busy]")).to_have_count(0)
        expect(keeper.log.locator(".answer .pager span")).to_have_text("2 / 2")

    def test_a_greeting_has_no_question(self, keeper: Reader) -> None:
        thread = running(keeper)
        keeper.server.rest(rest(at("5", "Hello"), Step.WAIT, end("a" * 32)))
        keeper.open_kept(thread.uuid)
        expect(keeper.answer).to_have_text("Hello")
        expect(keeper.log.locator(".question")).to_be_hidden()

        keeper.server.go()
        expect(keeper.button("Good answer")).to_be_visible()

    def test_one_that_ended_in_the_meantime_is_there_once(self, keeper: Reader) -> None:
        thread = running(keeper, "One?", "Uno")
        keeper.server.rest(rest(at("3", "Uno"), end(thread.messages[1]["uuid"])))
        keeper.open_kept(thread.uuid)

        keeper.hears("Answer complete.")
        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.log.locator(".answer .pager")).to_be_hidden()

    def test_a_question_whose_answer_nobody_writes_has_none(self, keeper: Reader) -> None:
        keeper.open_kept(keeper.kept.thread("Spain", "One?").uuid)

        expect(keeper.log.get_by_text("This question has no answer yet.")).to_be_visible()
        expect(keeper.button("Stop")).to_be_hidden()

    def test_a_question_that_had_not_arrived_is_asked_in_its_thread(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        lose(keeper, "Two?")
        keeper.server.answer(words(Step.WAIT))
        keeper.server.rest(rest(at("3", "Dos"), end("a" * 32)))
        keeper.page.reload()

        expect(keeper.log.locator(".markdown")).to_have_text(["Uno", "Dos"])
        expect(keeper.log.locator(".question p")).to_have_text(["One?", "Two?"])
        assert [asked.body for asked in keeper.server.asked] == [{"input": "Two?", "thread_uuid": thread.uuid}]

    def test_one_that_was_answered_meanwhile_is_there_once(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        lose(keeper, "Two?")
        thread.add("a" * 32, "user", "Two?", 2)
        thread.add("b" * 32, "assistant", "Dos", 3)
        head = {"Content-Type": "text/event-stream", "X-Chat-Turn": TURN, "X-Chat-Thread": thread.uuid}
        asked: list[object] = []

        def replay(route: Any) -> None:
            asked.append(route)
            route.fulfill(headers=head, body=event("start", turn_uuid=TURN))

        keeper.page.route("**/stream/", replay)
        keeper.page.reload()
        keeper.until(lambda: bool(asked) and kept_question(keeper) is None)
        expect(keeper.log.locator(".markdown")).to_have_text(["Uno", "Dos"])
        assert len(asked) == 1

    def test_a_question_that_comes_before_the_thread_is_there_waits_for_it(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        held: list[Any] = []
        keeper.page.route("**/kept-messages/**", lambda route: held.append(route))
        keeper.open_kept(thread.uuid)
        keeper.until(lambda: bool(held))
        keeper.ask("Two?", words("Dos", END))
        held.pop().continue_()

        expect(keeper.log.locator(".markdown")).to_have_text(["Uno", "Dos"])


def test_leaving_the_page_cancels_nothing(visit: Callable[..., Reader]) -> None:
    keeper = visit()
    keeper.open_kept()
    keeper.ask("One?", words("Uno", Step.WAIT))
    expect(keeper.answer).to_have_text("Uno")
    keeper.page.goto("about:blank")

    assert keeper.server.hung_up.wait(5)
    assert keeper.kept.calls("POST /threads/") == []
