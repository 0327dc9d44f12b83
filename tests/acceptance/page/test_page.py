"""The chat page in a real browser, against a server whose answers each test writes down."""

from collections.abc import Callable

import pytest

from tests.acceptance.page.answers import END, START, Answer, Step, delta, event, refusal, words
from tests.acceptance.page.reader import Reader, expect

pytestmark = pytest.mark.core


class TestAnswer:
    def test_words_arrive_while_they_are_written(self, reader: Reader) -> None:
        reader.ask("Hello", words("One ", Step.WAIT, "two", END))
        expect(reader.answer).to_have_text("One")
        expect(reader.log.locator("[aria-busy=true]")).to_be_visible()

        reader.server.go()
        expect(reader.answer).to_have_text("One two")
        expect(reader.log.locator("[aria-busy]")).to_have_count(0)
        reader.hears("Answer complete.")

    def test_a_character_cut_in_two_arrives_whole(self, reader: Reader) -> None:
        whole = delta("Zażółć 🐢")
        cut = whole.index("🐢".encode()) + 2

        reader.ask("Hello", Answer(body=(START, whole[:cut], Step.WAIT, whole[cut:] + END)))
        reader.server.go()
        expect(reader.answer).to_have_text("Zażółć 🐢")

    def test_heartbeats_and_unknown_events_are_silent(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello", words(b": still here\n\n", event("news", c="no"), "Yes", b":\n\n", END))

        expect(reader.answer).to_have_text("Yes")

    def test_thinking_is_folded_away(self, reader: Reader) -> None:
        thinking = [event("reasoning", reasoning=piece) for piece in ("<b>Hm</b>, ", "so")]
        reader.ask_and_wait("Hello", words(*thinking, "Yes", END))
        thoughts = reader.page.get_by_text("<b>Hm</b>, so")

        expect(thoughts).to_be_hidden()
        reader.page.get_by_text("Thinking").click()
        expect(thoughts).to_be_visible()

    def test_an_answer_cut_at_its_length_says_so(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello", words("Once upon", event("end", c="", finish_reason="length")))

        expect(reader.log).to_contain_text("The answer was cut off at its length limit.")

    def test_a_long_answer_is_drawn_in_time(self, reader: Reader) -> None:
        block = "Some **words** about `this`.\n\n- one\n- two\n\n"
        pieces = [(block * 1500)[at : at + 6] for at in range(0, len(block) * 1500, 6)]
        reader.ask_and_wait("Hello", words(b"".join(map(delta, pieces)), END))

        expect(reader.answer.locator("ul")).to_have_count(1500)

    def test_what_is_complete_is_not_drawn_again(self, reader: Reader) -> None:
        reader.ask("Hello", words("First block\n\nSecond\n\n", Step.WAIT, "third", END))
        first = reader.answer.get_by_text("First block").element_handle()
        reader.server.go()
        reader.hears("Answer complete.")

        assert first.evaluate("node => node.isConnected")


class TestConversation:
    def test_the_first_question_is_sent_as_it_is(self, reader: Reader) -> None:
        reader.ask_and_wait("  What is <this>?\nTell me. ", words("Fine.", END))

        assert [asked.body for asked in reader.server.asked] == [{"input": "What is <this>?\nTell me."}]

    def test_a_follow_up_brings_what_was_said(self, reader: Reader) -> None:
        reader.ask_and_wait("One?", words("*Uno*", END))
        reader.ask_and_wait("Two?", words("*Dos*", END))

        assert reader.server.asked[1].input == "User: One?\n\nAssistant: *Uno*\n\nUser: Two?"

    def test_the_oldest_are_left_out_when_there_is_no_room(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/small/#token=key")
        for question in ("One?", "Two?", "🐢🐢🐢🐢🐢🐢?", "And now a long question, to the end?"):
            reader.ask_and_wait(question, words("Si", END))

        assert [asked.input for asked in reader.server.asked] == [
            "One?",
            "User: One?\n\nAssistant: Si\n\nUser: Two?",
            "User: Two?\n\nAssistant: Si\n\nUser: 🐢🐢🐢🐢🐢🐢?",
            "And now a long question, to the end?",
        ]

    def test_new_chat_forgets(self, reader: Reader) -> None:
        reader.ask_and_wait("One?", words("Uno", END))
        reader.button("New chat").click()
        expect(reader.log).to_be_empty()
        expect(reader.box).to_be_focused()

        reader.ask_and_wait("Two?", words("Dos", END))
        assert reader.server.asked[1].input == "Two?"

    def test_new_chat_while_an_answer_arrives_hangs_up(self, reader: Reader) -> None:
        reader.ask("One?", words("Uno", Step.WAIT))
        expect(reader.answer).to_have_text("Uno")
        reader.button("New chat").click()

        expect(reader.log).to_be_empty()
        reader.hears("New chat.")
        assert reader.server.hung_up.wait(5)
        reader.ask_and_wait("Two?", words("Dos", END))
        assert reader.server.asked[1].input == "Two?"


class TestStop:
    @pytest.mark.parametrize("how", ["click", "Escape"])
    def test_stop_hangs_up_and_keeps_what_came(self, reader: Reader, how: str) -> None:
        reader.ask("Hello", words("Half an ans", Step.WAIT))
        expect(reader.answer).to_have_text("Half an ans")
        reader.button("Stop").click() if how == "click" else reader.page.keyboard.press("Escape")

        assert reader.server.hung_up.wait(5)
        expect(reader.answer).to_have_text("Half an ans")
        expect(reader.log.get_by_text("Stopped.")).to_be_visible()
        expect(reader.button("Send")).to_be_visible()
        expect(reader.box).to_be_focused()

    def test_a_double_click_on_send_does_not_stop(self, reader: Reader) -> None:
        reader.server.answer(words("Uno", Step.WAIT, END))
        reader.box.fill("One?")
        reader.button("Send").dblclick()
        expect(reader.answer).to_have_text("Uno")
        reader.server.go()

        reader.hears("Answer complete.")

    def test_what_was_stopped_is_part_of_the_conversation(self, reader: Reader) -> None:
        reader.ask("Hello", words("Half", Step.WAIT))
        expect(reader.answer).to_have_text("Half")
        reader.page.keyboard.press("Escape")
        reader.ask_and_wait("Go on", words("Whole", END))

        assert reader.server.asked[1].input == "User: Hello\n\nAssistant: Half\n\nUser: Go on"

    def test_stop_before_the_first_word(self, reader: Reader) -> None:
        reader.ask("Hello", Answer(body=(Step.WAIT,)))
        reader.button("Stop").click()

        expect(reader.log.get_by_text("Stopped.")).to_be_visible()

    def test_cancelled_elsewhere(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello", words("Half", event("cancelled", detail="The answer was stopped.")))

        expect(reader.log).to_contain_text("Stopped.")
        expect(reader.answer).to_have_text("Half")


class TestFailure:
    @pytest.mark.parametrize(
        ("answer", "sentence"),
        [
            (refusal(400, {"input": ["Too long."], "code": "invalid"}), "Too long."),
            (refusal(404, {"detail": "The chat is switched off."}), "The chat is switched off."),
            (refusal(409, {"detail": "No model is set up."}), "No model is set up."),
            (refusal(413, b"<h1>nginx</h1>"), "The question is too long for the server."),
            (refusal(429, {"detail": "Slow down."}, Retry_After="30"), "Slow down. Try again in 30 seconds."),
            (refusal(429, {"detail": "Wait 30 seconds."}, Retry_After="30"), "Wait 30 seconds."),
            (refusal(429, {}, Retry_After="1"), "Too many questions at once. Try again in 1 second."),
            (refusal(503, {"detail": "Busy."}, Retry_After="600"), "Busy. Try again in 10 minutes."),
            (refusal(500, b"<h1>Oops</h1>"), "The server could not answer (status 500)."),
            (refusal(502, b""), "The assistant is not available right now."),
            (refusal(503, ["odd"]), "The assistant is not available right now."),
            (refusal(504, {"detail": {"odd": 1}}), "The assistant took too long to answer."),
            (refusal(200, b"<h1>Please log in</h1>"), "The server sent something that this page cannot read."),
            (words(b"data: {oops\n\n"), "The server sent something that this page cannot read."),
            (words("Half", event("error", detail="The model gave up.", retryable=True)), "The model gave up."),
            (words("Half", event("error")), "The assistant could not finish its answer."),
            (words("Half"), "The connection was lost before the answer was complete."),
            (words("Half", Step.BREAK), "The connection was lost before the answer was complete."),
            (words("Half", END[:-1]), "The connection was lost before the answer was complete."),
        ],
    )  # fmt: skip
    def test_is_told_in_plain_words_and_can_be_tried_again(self, reader: Reader, answer: Answer, sentence: str) -> None:
        reader.ask_and_wait("Hello", answer)
        expect(reader.log.locator(".outcome p")).to_have_text(sentence)
        reader.hears(sentence)

        reader.server.answer(words("Now it works.", END))
        reader.button("Try again").click()
        expect(reader.answer).to_have_text("Now it works.")
        expect(reader.log.get_by_role("article")).to_have_count(1)
        assert [asked.input for asked in reader.server.asked] == ["Hello", "Hello"]

    def test_without_a_network(self, reader: Reader) -> None:
        reader.page.context.set_offline(True)
        reader.ask_and_wait("Hello")

        expect(reader.log).to_contain_text("The server cannot be reached. Is the network up?")
        expect(reader.log).to_contain_text("Hello")
        expect(reader.button("Try again")).to_be_visible()

    def test_keeps_the_words_that_came(self, reader: Reader) -> None:
        reader.ask("Hello", words("Half", Step.WAIT, Step.BREAK))
        expect(reader.answer).to_have_text("Half")
        reader.server.go()

        expect(reader.log).to_contain_text("The connection was lost before the answer was complete.")
        expect(reader.answer).to_have_text("Half")

    def test_no_trying_again_where_that_cannot_help(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello", words(event("error", detail="Not this.", code="refused", retryable=False)))

        expect(reader.button("Try again")).to_be_hidden()

    def test_the_question_can_go_back_into_the_box(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello <you>", refusal(502, {"detail": "Down."}))
        reader.box.fill("half a thought")
        reader.button("Edit question").click()

        expect(reader.box).to_have_value("Hello <you>\n\nhalf a thought")
        expect(reader.log).to_be_empty()

    def test_markup_in_an_error_is_text(self, reader: Reader) -> None:
        markup = "<img src=x onerror=alert(1)><script>alert(2)</script>"
        for answer in (refusal(400, {"detail": markup}), words(event("error", detail=markup))):
            reader.ask_and_wait(markup, answer)
            expect(reader.log.locator(".outcome p").last).to_have_text(markup)
        expect(reader.log.locator("img, script")).to_have_count(0)
