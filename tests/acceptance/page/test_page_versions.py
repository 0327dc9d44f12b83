"""Questions that are edited, answers that are written anew, and the versions of both."""

from __future__ import annotations

import pytest

from tests.acceptance.page.answers import END, Step, event, refusal, words
from tests.acceptance.page.keeping import Thread
from tests.acceptance.page.reader import Reader, expect


@pytest.fixture
def spain(keeper: Reader) -> Thread:
    """A thread that the reader has open: two questions, two answers."""
    thread = keeper.kept.thread("Spain", "One?", "Uno", "Two?", "Dos")
    keeper.open_kept(thread.uuid)
    expect(keeper.answer).to_have_text("Dos")
    return thread


class TestRegenerate:
    def test_another_answer_is_another_version(self, keeper: Reader, spain: Thread) -> None:
        keeper.server.answer(words("Zwei", Step.WAIT, END))
        keeper.button("Answer again").click()
        expect(keeper.answer).to_have_text("Zwei")
        expect(keeper.log.get_by_role("article")).to_have_count(2)
        keeper.server.go()

        expect(keeper.log.get_by_text("2 / 2")).to_be_visible()
        assert keeper.server.asked[0].body == {"input": "Two?", "thread_uuid": spain.uuid, "mode": "reload"}

    def test_one_that_fails_before_its_first_word_leaves_the_earlier(self, keeper: Reader, spain: Thread) -> None:
        keeper.server.answer(words(event("error", detail="The model gave up.")))
        keeper.button("Answer again").click()

        expect(keeper.log).to_contain_text("The model gave up.")
        expect(keeper.answer).to_have_text("Dos")
        expect(keeper.log.get_by_text("/ 2")).to_be_hidden()
        keeper.server.answer(words("Zwei", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Zwei")
        assert keeper.server.asked[1].body["mode"] == "reload"

    def test_only_the_last_answer_has_it(self, keeper: Reader, spain: Thread) -> None:
        expect(keeper.button("Answer again")).to_have_count(1)
        expect(keeper.button("Edit")).to_have_count(1)
        expect(keeper.button("Good answer")).to_have_count(2)

    def test_not_while_an_answer_is_written(self, keeper: Reader, spain: Thread) -> None:
        keeper.ask("Three?", words("Tres", Step.WAIT, END))
        expect(keeper.answer).to_have_text("Tres")

        expect(keeper.button("Answer again")).to_have_count(0)
        keeper.server.go()
        expect(keeper.button("Answer again")).to_have_count(1)


class TestEdit:
    def test_an_edited_question_is_answered_again(self, keeper: Reader, spain: Thread) -> None:
        old = spain.last("user")["uuid"]
        keeper.button("Edit").click()
        editor = keeper.log.get_by_role("textbox", name="Edited question")
        expect(editor).to_be_focused()
        expect(editor).to_have_value("Two?")
        editor.fill(" Three? ")
        keeper.server.answer(words("Tres", END))
        editor.press("Enter")

        expect(keeper.answer).to_have_text("Tres")
        expect(keeper.log.get_by_text("Three?")).to_be_visible()
        expect(keeper.log.get_by_text("2 / 2")).to_have_count(2)
        assert keeper.server.asked[0].body == {
            "input": "Three?", "thread_uuid": spain.uuid, "mode": "edit", "edit_message_uuid": old,
        }  # fmt: skip

    def test_the_next_edit_replaces_the_new_version(self, keeper: Reader, spain: Thread) -> None:
        for text in ("Three?", "Four?"):
            keeper.server.answer(words(text, END))
            keeper.button("Edit").click()
            keeper.log.get_by_role("textbox").fill(text)
            newest = spain.last("user")["uuid"]
            keeper.button("Ask again").click()
            expect(keeper.answer).to_have_text(text)

        assert keeper.server.asked[1].body["edit_message_uuid"] == newest

    @pytest.mark.parametrize("how", ["Escape", "Cancel"])
    def test_it_can_be_left(self, keeper: Reader, spain: Thread, how: str) -> None:
        keeper.button("Edit").click()
        keeper.log.get_by_role("textbox").fill("Three?")
        if how == "Escape":
            keeper.page.keyboard.press("Escape")
        else:
            keeper.log.get_by_role("button", name="Cancel").click()

        expect(keeper.log.get_by_text("Two?")).to_be_visible()
        expect(keeper.button("Edit")).to_be_focused()
        assert keeper.server.asked == []

    def test_an_edit_that_was_refused_goes_again_or_is_edited_again(self, keeper: Reader, spain: Thread) -> None:
        old = spain.last("user")["uuid"]
        keeper.server.answer(refusal(429, {"detail": "Slow down."}))
        keeper.button("Edit").click()
        keeper.log.get_by_role("textbox").fill("Three?")
        keeper.button("Ask again").click()
        expect(keeper.log).to_contain_text("Slow down.")
        expect(keeper.log.get_by_text("Three?")).to_be_visible()

        keeper.button("Edit question").click()
        expect(keeper.log.get_by_role("textbox")).to_have_value("Three?")
        keeper.log.get_by_role("textbox").fill("Four?")
        keeper.server.answer(refusal(429, {"detail": "Slower."}))
        keeper.button("Ask again").click()
        expect(keeper.log).to_contain_text("Slower.")
        keeper.server.answer(words("Cuatro", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Cuatro")
        expect(keeper.log.get_by_text("2 / 2")).to_have_count(2)
        assert keeper.server.asked[2].body == {
            "input": "Four?", "thread_uuid": spain.uuid, "mode": "edit", "edit_message_uuid": old,
        }  # fmt: skip

    def test_an_edit_that_failed_replaces_the_question_that_is_in_force(self, keeper: Reader, spain: Thread) -> None:
        old = spain.last("user")["uuid"]
        keeper.server.answer(words(event("error", detail="The model gave up.")))
        keeper.button("Edit").click()
        keeper.log.get_by_role("textbox").fill("Three?")
        keeper.button("Ask again").click()
        expect(keeper.log).to_contain_text("The model gave up.")
        expect(keeper.answer).to_have_text("Dos")

        keeper.server.answer(words("Tres", END))
        keeper.button("Try again").click()
        expect(keeper.answer).to_have_text("Tres")
        assert keeper.server.asked[1].body == keeper.server.asked[0].body
        assert keeper.server.asked[1].body["edit_message_uuid"] == old
        keeper.server.answer(words("Drei", END))
        keeper.button("Answer again").click()
        expect(keeper.answer).to_have_text("Drei")
        assert keeper.server.asked[2].body["mode"] == "reload"

    def test_one_that_is_too_long_stays_in_the_editor(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open(f"/kept-small/#token=key&thread={thread.uuid}")
        keeper.button("Edit").click()
        keeper.log.get_by_role("textbox").fill("x" * 43)
        keeper.button("Ask again").click()

        expect(keeper.page.locator("#notice")).to_have_text("The question is too long by 3 characters.")
        expect(keeper.log.get_by_role("textbox")).to_have_value("x" * 43)


class TestVersions:
    @pytest.fixture
    def three(self, keeper: Reader) -> Reader:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        for number, text in enumerate(("Eins", "**Un**")):
            thread.add(str(number) * 32, "assistant", text, 1)
        keeper.open_kept(thread.uuid)
        return keeper

    def test_the_last_one_is_shown_and_the_earlier_can_be(self, three: Reader) -> None:
        expect(three.answer.locator("strong")).to_have_text("Un")
        expect(three.log.get_by_text("3 / 3")).to_be_visible()
        expect(three.button("Next version")).to_be_disabled()

        three.button("Previous version").click()
        expect(three.answer).to_have_text("Eins")
        three.hears("Version 2 of 3")
        three.button("Previous version").click()
        expect(three.answer).to_have_text("Uno")
        expect(three.button("Previous version")).to_be_disabled()
        expect(three.button("Next version")).to_be_focused()
        three.button("Next version").click()
        expect(three.answer).to_have_text("Eins")

    def test_where_there_is_one_there_is_nothing_to_choose(self, keeper: Reader, spain: Thread) -> None:
        expect(keeper.button("Previous version")).to_have_count(0)

    def test_a_new_answer_follows_the_last_one_whichever_is_shown(self, three: Reader) -> None:
        three.button("Previous version").click()
        three.server.answer(words("Jedna", END))
        three.button("Answer again").click()

        expect(three.log.get_by_text("4 / 4")).to_be_visible()
        expect(three.answer).to_have_text("Jedna")
        three.button("Previous version").click()
        expect(three.answer).to_have_text("Un")
