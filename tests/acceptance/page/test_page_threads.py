"""The list of conversations: which there are, finding one, opening it and coming back."""

from __future__ import annotations

from tests.acceptance.page.answers import END, Step, refusal, words
from tests.acceptance.page.reader import Reader, expect
from tests.acceptance.streams import eventually


class TestList:
    def test_the_last_used_come_first(self, keeper: Reader) -> None:
        for name in ("Spain", "Italy", "France"):
            keeper.kept.thread(name)
        keeper.open_kept()
        expect(keeper.threads).to_have_text(["France", "Italy", "Spain"])
        (call,) = keeper.kept.calls("GET /threads/")

        assert call.query == {
            "scope": "own", "is_archived": "false", "o": "-modified", "page": "1", "page_size": "50",
            "field": "message_count",
        }  # fmt: skip

    def test_it_says_when_there_is_none(self, keeper: Reader) -> None:
        keeper.open_kept()

        expect(keeper.page.get_by_text("No conversations yet.")).to_be_visible()

    def test_it_is_searched_when_typing_rests(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.kept.thread("Italy")
        keeper.open_kept()
        expect(keeper.threads).to_have_count(2)
        search = keeper.page.get_by_role("searchbox", name="Search conversations")
        search.press_sequentially("spa")
        expect(keeper.threads).to_have_text(["Spain"])
        assert len(keeper.kept.calls("GET /threads/")) == 2

        search.fill("nowhere")
        expect(keeper.page.get_by_text("Nothing found.")).to_be_visible()
        search.fill("")
        expect(keeper.threads).to_have_count(2)

    def test_more_are_shown_on_demand_each_once(self, keeper: Reader) -> None:
        keeper.kept.page_size = 3
        for number in range(7):
            keeper.kept.thread(f"Thread {number}")
        keeper.open_kept()
        expect(keeper.threads).to_have_count(3)
        keeper.kept.thread("Newest")
        keeper.button("Show more").click()
        expect(keeper.threads).to_have_text([f"Thread {number}" for number in (6, 5, 4, 3, 2)])

        keeper.button("Show more").click()
        expect(keeper.threads).to_have_count(7)
        expect(keeper.button("Show more")).to_be_hidden()
        expect(keeper.page.get_by_role("link", name="Thread 1")).to_be_focused()

    def test_what_was_loaded_stays_when_the_newest_are_asked_for_again(self, keeper: Reader) -> None:
        keeper.kept.page_size = 2
        for number in range(4):
            keeper.kept.thread(f"Thread {number}", "One?", "Uno")
        keeper.open_kept()
        keeper.button("Show more").click()
        expect(keeper.threads).to_have_count(4)
        keeper.page.get_by_role("link", name="Thread 0").click()
        expect(keeper.answer).to_have_text("Uno")
        keeper.ask_and_wait("Two?", words("Dos", END))

        expect(keeper.threads).to_have_text(["Thread 0", "Thread 3", "Thread 2", "Thread 1"])

    def test_a_list_that_cannot_be_had_can_be_tried_again(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain")
        keeper.kept.refuse("GET /threads/", refusal(502, {"detail": "Down."}))
        keeper.open_kept()
        expect(keeper.page.locator("#side-notice")).to_have_text("Down.")
        keeper.ask_and_wait("Can I still ask?", words("Yes", END))
        # The page tries again itself, at the beginning and at the end of an answer.
        assert eventually(lambda: len(keeper.kept.calls("GET /threads/")) == 3)

        keeper.kept.allow()
        keeper.button("Try again").click()
        expect(keeper.threads).to_have_text(["Can I still ask?", "Spain"])
        expect(keeper.page.locator("#side-notice")).to_be_empty()


class TestOpening:
    def test_a_click_opens_and_marks_it(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno", "Two?", "Dos")
        keeper.kept.thread("Italy", "One?", "Due")
        keeper.open_kept()
        keeper.page.get_by_role("link", name="Spain").click()

        expect(keeper.log.get_by_role("article")).to_have_count(2)
        expect(keeper.answer).to_have_text("Dos")
        expect(keeper.page.locator("#threads a[aria-current=true]")).to_have_text("Spain")
        expect(keeper.page).to_have_title("Spain · Chat")
        expect(keeper.box).to_be_focused()
        keeper.hears("Conversation opened: Spain")

    def test_back_and_forward_lead_through_what_was_open(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno")
        keeper.kept.thread("Italy", "One?", "Due")
        keeper.open_kept()
        keeper.page.get_by_role("link", name="Spain").click()
        expect(keeper.answer).to_have_text("Uno")
        keeper.page.get_by_role("link", name="Italy").click()
        expect(keeper.answer).to_have_text("Due")
        keeper.button("New chat").click()
        expect(keeper.log).to_be_empty()

        keeper.page.go_back()
        expect(keeper.answer).to_have_text("Due")
        keeper.page.go_back()
        expect(keeper.answer).to_have_text("Uno")
        keeper.page.go_back()
        expect(keeper.log).to_be_empty()
        keeper.page.go_forward()
        expect(keeper.answer).to_have_text("Uno")

    def test_only_the_last_one_that_was_opened_is_shown(self, keeper: Reader) -> None:
        slow = keeper.kept.thread("Slow", "One?", "Uno")
        keeper.kept.thread("Quick", "One?", "Due")
        keeper.open_kept()
        held = []
        keeper.page.route(f"**/*thread={slow.uuid}*", lambda route: held.append(route))
        keeper.page.get_by_role("link", name="Slow").click()
        keeper.until(lambda: len(held) == 1)
        keeper.page.get_by_role("link", name="Quick").click()
        expect(keeper.answer).to_have_text("Due")
        held[0].continue_()
        keeper.page.wait_for_timeout(200)

        expect(keeper.log.get_by_role("article")).to_have_count(1)
        expect(keeper.answer).to_have_text("Due")

    def test_opening_one_leaves_an_answer_without_cancelling_it(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept()
        keeper.ask("Two?", words("Dos", Step.WAIT))
        expect(keeper.answer).to_have_text("Dos")
        keeper.page.get_by_role("link", name="Spain").click()

        assert keeper.server.hung_up.wait(5)
        expect(keeper.answer).to_have_text("Uno")
        expect(keeper.button("Send")).to_be_visible()
        assert keeper.kept.calls("POST /threads/") == []

    def test_a_following_question_goes_to_the_open_thread(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept()
        keeper.page.get_by_role("link", name="Spain").click()
        expect(keeper.answer).to_have_text("Uno")
        keeper.ask_and_wait("Two?", words("Dos", END))

        assert keeper.server.asked[0].body == {"input": "Two?", "thread_uuid": thread.uuid}


class TestFailedFirstQuestion:
    QUESTION = "Where \n is " + "every " * 20 + "word?"
    TITLE = "Where is every every every every every every every every…"

    def test_it_names_its_thread(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask_and_wait(self.QUESTION, refusal(502, {"detail": "Down."}))

        expect(keeper.threads).to_have_text([self.TITLE])
        expect(keeper.page).to_have_title(f"{self.TITLE} · Chat")

    def test_after_a_reload_it_names_its_thread_too(self, keeper: Reader) -> None:
        for number in range(2):
            keeper.kept.thread("New chat", f"Question {number}").messages[0].update(status="failed")
        keeper.kept.thread("New chat", "One?", "Uno")
        keeper.open_kept()

        expect(keeper.threads).to_have_text(["New chat", "Question 1", "Question 0"])

    def test_it_is_what_the_thread_is_called_when_it_is_opened(self, keeper: Reader) -> None:
        thread = keeper.kept.thread("New chat", self.QUESTION)
        keeper.open_kept(thread.uuid)

        keeper.hears(f"Conversation opened: {self.TITLE}")

    def test_one_that_cannot_be_read_leaves_the_list_usable(self, keeper: Reader) -> None:
        keeper.kept.thread("New chat", "One?")
        keeper.kept.refuse("GET /messages/", refusal(502, {"detail": "Down."}))
        keeper.open_kept()

        expect(keeper.threads).to_have_text(["New chat"])
        expect(keeper.page.locator("#side-notice")).to_have_text("Down.")


class TestNew:
    def test_a_new_thread_is_in_the_list_while_it_is_answered(self, keeper: Reader) -> None:
        keeper.kept.thread("Spain", "One?", "Uno")
        keeper.open_kept()
        keeper.ask("Two?", words("Dos", Step.WAIT, END))

        expect(keeper.threads).to_have_text(["Two?", "Spain"])
        expect(keeper.page.locator("#threads a[aria-current=true]")).to_have_text("Two?")
        keeper.server.go()

    def test_its_name_appears_with_the_answer(self, keeper: Reader) -> None:
        keeper.open_kept()
        keeper.ask("Two?", words("Dos", Step.WAIT, END))
        expect(keeper.threads).to_have_text(["Two?"])
        (thread,) = keeper.kept.threads.values()
        thread.name = "Spanish numbers"
        keeper.server.go()

        expect(keeper.threads).to_have_text(["Spanish numbers"])
        expect(keeper.page).to_have_title("Spanish numbers · Chat")

    def test_a_name_that_comes_later_is_looked_for_once_more(self, keeper: Reader) -> None:
        keeper.page.clock.install()
        keeper.open_kept()
        keeper.ask_and_wait("Two?", words("Dos", END))
        expect(keeper.threads).to_have_text(["Two?"])
        keeper.page.wait_for_timeout(200)
        (thread,) = keeper.kept.threads.values()
        thread.name = "Spanish numbers"
        keeper.page.clock.run_for(6000)

        expect(keeper.threads).to_have_text(["Spanish numbers"])
