"""Asking where the server keeps the conversation: what is sent, stopped, lost and found again."""

from __future__ import annotations

import re

import pytest

from tests.acceptance.page.answers import END, Answer, Step, event, refusal, words
from tests.acceptance.page.reader import Reader, expect


class TestAsking:
    def test_the_first_question_begins_a_thread_and_the_next_names_it(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Uno", END))
        keeper.ask_and_wait("Two?", words("Dos", END))
        (thread,) = keeper.kept.threads

        assert [asked.body for asked in keeper.server.asked] == [
            {"input": "One?"},
            {"input": "Two?", "thread_uuid": thread},
        ]

    def test_the_address_carries_the_thread_and_a_reload_shows_it(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("*Uno*", END))
        (thread,) = keeper.kept.threads
        assert keeper.page.url == f"{keeper.server.url}/kept/#thread={thread}"

        keeper.page.reload()
        expect(keeper.log.get_by_role("article")).to_have_count(1)
        expect(keeper.log).to_contain_text("One?")
        expect(keeper.answer.locator("em")).to_have_text("Uno")

    def test_a_token_leaves_the_address_and_the_thread_stays(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)

        expect(keeper.answer).to_have_text("Uno")
        assert keeper.page.url == f"{keeper.server.url}/kept/#thread={thread.uuid}"

    def test_a_thread_with_dashes_in_the_address_is_found(self, keeper: Reader) -> None:
        uuid = keeper.kept.thread("Spain", "One?", "Uno").uuid
        keeper.open_kept(f"{uuid[:8]}-{uuid[8:12]}-{uuid[12:16]}-{uuid[16:20]}-{uuid[20:]}")

        expect(keeper.answer).to_have_text("Uno")

    def test_what_is_no_uuid_is_not_asked_for(self, keeper: Reader) -> None:
        keeper.open_kept("../../admin")

        expect(keeper.page.get_by_role("heading", name="How can I help?")).to_be_visible()
        assert keeper.kept.calls("GET /messages/") == []

    def test_a_thread_that_is_gone_is_said_to_be(self, keeper: Reader) -> None:
        keeper.open_kept("f" * 32)

        expect(keeper.page.locator("#notice")).to_have_text("This conversation does not exist any more.")
        assert keeper.page.url == f"{keeper.server.url}/kept/"

    def test_a_thread_that_cannot_be_read_can_be_tried_again(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.kept.refuse("GET /messages/", refusal(502, {"detail": "Down."}))
        keeper.open_kept(thread.uuid)
        expect(keeper.page.locator("#failure p")).to_have_text("Down.")

        keeper.kept.allow()
        keeper.page.locator("#reopen").click()
        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.page.locator("#failure")).to_be_hidden()

    def test_a_visitor_without_token_sees_nothing_until_it_is_given(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open(f"/kept/#thread={thread.uuid}")
        expect(keeper.token).to_be_visible()
        assert keeper.kept.called == []

        keeper.token.fill("key")
        keeper.token.press("Enter")
        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.threads).to_have_text(["Spain"])

    def test_an_expired_token_is_asked_for_when_the_list_is_refused(self, keeper: Reader) -> None:
        keeper.kept.refuse("GET /threads/", refusal(401, {"detail": "Invalid token."}))
        keeper.open_kept()
        expect(keeper.token).to_be_visible()

        keeper.kept.allow()
        keeper.kept.thread("Spain")
        keeper.token.fill("better")
        keeper.token.press("Enter")
        expect(keeper.threads).to_have_text(["Spain"])


class TestStop:
    def test_stop_hangs_up_cancels_and_keeps_what_came(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.ask("Two?", words("Half", Step.WAIT))
        expect(keeper.answer).to_have_text("Half")
        keeper.button("Stop").click()

        assert keeper.server.hung_up.wait(5)
        expect(keeper.log.get_by_text("Stopped.")).to_be_visible()
        expect(keeper.answer).to_have_text("Half")
        keeper.until(lambda: len(keeper.kept.calls(f"POST /threads/{thread.uuid}/cancel/")) == 1)

    def test_what_was_stopped_can_be_rated_when_it_is_stored(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words("Half", Step.WAIT))
        expect(keeper.answer).to_have_text("Half")
        keeper.kept.when_read = lambda thread: (
            thread.messages[1:] or thread.add("a" * 32, "assistant", "Half a", 1, status="stopped")
        )
        keeper.button("Stop").click()

        expect(keeper.button("Good answer")).to_be_visible()
        expect(keeper.answer).to_have_text("Half a")
        expect(keeper.log.get_by_text("Stopped.")).to_be_visible()

    def test_the_first_turn_of_a_new_thread_is_cancelled_before_its_first_event(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept()
        expect(keeper.threads).to_have_count(1)
        keeper.ask("One?", Answer(body=(Step.WAIT,)))
        keeper.button("Stop").click()

        keeper.until(lambda: len(keeper.kept.calls("POST /threads/")) == 1)
        new = max(keeper.kept.threads)
        assert keeper.kept.calls("POST /threads/")[0].path == f"/threads/{new}/cancel/"
        expect(keeper.page).to_have_url(re.compile(f"#thread={new}$"))

    def test_trying_again_after_a_stop_answers_the_same_question(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words("Half", Step.WAIT))
        expect(keeper.answer).to_have_text("Half")
        keeper.button("Stop").click()
        expect(keeper.button("Edit")).to_be_visible()

        keeper.server.answer(words("Whole", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Whole")
        assert keeper.server.asked[-1].body["mode"] == "reload"
        expect(keeper.log.get_by_role("article")).to_have_count(1)

    def test_new_chat_leaves_an_answer_without_cancelling_it(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("One?", words("Uno", Step.WAIT))
        expect(keeper.answer).to_have_text("Uno")
        keeper.button("New chat").click()

        assert keeper.server.hung_up.wait(5)
        expect(keeper.log).to_be_empty()
        keeper.ask_and_wait("Two?", words("Dos", END))
        assert keeper.server.asked[1].body == {"input": "Two?"}
        assert keeper.kept.calls("POST /threads/") == []


class TestFailure:
    @pytest.mark.parametrize("status", [400, 409, 413, 429])
    def test_a_question_that_was_refused_goes_again_as_it_was(self, keeper: Reader, status: int) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.ask_and_wait("Two?", refusal(status, {"detail": "No."}))
        expect(keeper.log).to_contain_text("No.")

        keeper.server.answer(words("Dos", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Dos")
        expect(keeper.log.get_by_role("article")).to_have_count(2)
        assert keeper.server.asked[0].body == keeper.server.asked[1].body

    def test_a_question_that_was_refused_can_go_back_into_the_box(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("Two?", refusal(429, {"detail": "No."}))
        keeper.button("Edit question").click()

        expect(keeper.box).to_have_value("Two?")
        expect(keeper.log).to_be_empty()

    def test_a_question_that_was_stored_before_it_failed_is_not_stored_twice(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", refusal(502, {"detail": "Down."}))
        expect(keeper.button("Edit")).to_be_visible()
        (thread,) = keeper.kept.threads

        keeper.server.answer(words("Uno", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Uno")
        assert keeper.server.asked[1].body == {"input": "One?", "thread_uuid": thread, "mode": "reload"}

    def test_an_error_in_the_answer_says_what_is_stored(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait("One?", words("Half", event("error", detail="The model gave up.")))

        expect(keeper.log).to_contain_text("The model gave up.")
        expect(keeper.button("Bad answer")).to_be_visible()
        expect(keeper.button("Try again")).to_be_visible()

    def test_the_same_question_asked_twice_is_two_questions(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "Again?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.page.route("**/stream/", lambda route: route.abort())
        keeper.ask_and_wait("Again?")
        expect(keeper.log).to_contain_text("The server cannot be reached.")
        keeper.until(lambda: len(keeper.kept.calls("GET /messages/")) >= 2)

        keeper.page.unroute("**/stream/")
        keeper.server.answer(words("Dos", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Dos")
        assert keeper.server.asked[-1].body == {"input": "Again?", "thread_uuid": thread.uuid}

    def test_a_turn_that_is_stored_but_not_the_last_cannot_be_repeated(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept(thread.uuid)
        keeper.ask_and_wait("Two?", words("Half", event("error", detail="The model gave up.")))
        expect(keeper.button("Edit")).to_have_count(1)  # The page knows that it is stored.
        keeper.ask_and_wait("Three?", words("Tres", END))

        expect(keeper.button("Try again")).to_have_count(0)
        expect(keeper.button("Answer again")).to_have_count(1)
        expect(keeper.button("Edit")).to_have_count(1)
