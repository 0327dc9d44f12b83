"""The chat page as people use it: box and keyboard, token and session, reading, small screens, light and dark."""

from collections.abc import Callable

import pytest

from tests.acceptance.page.answers import END, Step, refusal, words
from tests.acceptance.page.reader import Reader, expect


class TestBox:
    def test_too_long_stays_in_the_box(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/small/#token=key")
        reader.ask("x" * 38 + "🐢" * 5)

        expect(reader.page.get_by_role("alert")).to_have_text("The question is too long by 3 characters.")
        expect(reader.box).to_have_value("x" * 38 + "🐢" * 5)
        reader.box.fill("short")
        expect(reader.page.locator("#notice")).to_be_empty()
        assert reader.server.asked == []

    def test_blank_is_not_sent(self, reader: Reader) -> None:
        reader.ask(" \n ")

        expect(reader.log).to_be_empty()

    def test_a_second_question_waits_in_the_box(self, reader: Reader) -> None:
        reader.ask("One?", words("Uno", Step.WAIT))
        reader.ask("Two?")

        expect(reader.box).to_have_value("Two?")
        expect(reader.page.get_by_role("alert")).to_have_text("Wait until the answer is complete, or stop it.")
        assert len(reader.server.asked) == 1

    def test_shift_enter_begins_a_line(self, reader: Reader) -> None:
        reader.box.press_sequentially("One")
        low = reader.box.bounding_box()
        reader.box.press("Shift+Enter")
        reader.box.press_sequentially("Two")
        high = reader.box.bounding_box()

        expect(reader.box).to_have_value("One\nTwo")
        assert low
        assert high
        assert high["height"] > low["height"]
        assert reader.server.asked == []

    def test_enter_that_chooses_a_word_does_not_send(self, reader: Reader) -> None:
        reader.box.fill("にほん")
        reader.box.dispatch_event("keydown", {"key": "Enter", "isComposing": True})

        expect(reader.box).to_have_value("にほん")

    def test_all_can_be_done_by_keyboard(self, reader: Reader) -> None:
        expect(reader.box).to_be_focused()
        reader.server.answer(words("Uno", Step.WAIT))
        reader.page.keyboard.type("One?")
        reader.page.keyboard.press("Tab")
        expect(reader.button("Send")).to_be_focused()
        reader.page.keyboard.press("Enter")
        expect(reader.answer).to_have_text("Uno")
        expect(reader.box).to_be_focused()
        expect(reader.button("Stop")).to_be_visible()
        reader.page.keyboard.press("Escape")
        expect(reader.box).to_be_focused()
        reader.page.keyboard.press("Shift+Tab")
        expect(reader.button("Edit question")).to_be_focused()


class TestWhoAsks:
    def test_a_token_in_the_address_is_taken_out_of_it(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/?a=1#token=s3cret")
        reader.ask_and_wait("Hello", words("Hi", END))

        assert reader.page.url == reader.server.url + "/?a=1"
        assert reader.server.asked[0].headers["authorization"] == "Token s3cret"
        assert "cookie" not in reader.server.asked[0].headers
        expect(reader.token).to_be_hidden()

    def test_a_token_is_kept_for_this_tab_only(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/#token=s3cret")
        reader.page.reload()
        reader.ask_and_wait("Hello", words("Hi", END))

        assert reader.server.asked[0].headers["authorization"] == "Token s3cret"
        assert reader.page.evaluate("JSON.stringify(localStorage) + document.cookie").count("s3cret") == 0
        other = reader.page.context.new_page()
        other.goto(reader.server.url)
        expect(other.get_by_label("API token")).to_be_visible()

    def test_a_token_is_asked_for_when_there_is_no_session(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/")
        reader.token.fill(" s3cret ")
        reader.token.press("Enter")
        expect(reader.token).to_be_hidden()
        expect(reader.box).to_be_focused()
        reader.ask_and_wait("Hello", words("Hi", END))

        assert reader.server.asked[0].headers["authorization"] == "Token s3cret"

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_token_can_be_replaced_and_the_question_goes_again(self, reader: Reader, status: int) -> None:
        reader.ask_and_wait("Hello", refusal(status, {"detail": "Invalid token."}))
        expect(reader.log).to_contain_text("Invalid token.")
        reason = "Invalid token. Give an API token that may use the assistant."
        expect(reader.token).to_have_accessible_description(f"{reason} Kept in this browser tab only.")
        expect(reader.token).to_be_focused()

        reader.server.answer(words("Hi", END))
        reader.token.fill("better")
        reader.button("Use token").click()
        expect(reader.answer).to_have_text("Hi")
        assert [asked.headers["authorization"] for asked in reader.server.asked] == ["Token key", "Token better"]

    def test_a_token_that_no_header_can_carry_is_not_taken(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/#token=żółw%0d%0aX-Evil:1")

        expect(reader.token).to_be_visible()

    def test_what_cannot_be_a_token_is_said_to_be_none(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/")
        reader.token.fill("żółw")
        reader.token.press("Enter")

        expect(reader.page.get_by_role("alert")).to_have_text(
            "This is no API token: it has characters that a token cannot have."
        )
        expect(reader.token).to_be_focused()

    @pytest.mark.parametrize("status", [401, 403])
    @pytest.mark.parametrize("size", [{"width": 320, "height": 560}, {"width": 1200, "height": 800}])
    def test_a_wrong_token_is_said_where_it_is_typed(
        self, visit: Callable[..., Reader], size: dict[str, int], status: int
    ) -> None:
        keeper = visit(viewport=size).open("/kept/")
        keeper.kept.refuse("GET /threads/", refusal(status, {"detail": "Not this token."}))
        keeper.token.fill("wrong")
        keeper.token.press("Enter")
        reason = keeper.page.locator("#token-reason")
        expect(reason).to_have_text("Not this token. Give an API token that may use the assistant.")
        expect(reason).to_be_in_viewport()
        expect(keeper.token).to_be_focused()
        expect(keeper.token).to_have_attribute("aria-invalid", "true")

        keeper.kept.allow()
        keeper.token.fill("right")
        keeper.token.press("Enter")
        expect(reason).to_be_hidden()
        expect(keeper.page.locator("#side-notice")).to_be_empty()

    def test_a_token_that_is_refused_behind_the_drawer_closes_it(self, visit: Callable[..., Reader]) -> None:
        keeper = visit(viewport={"width": 320, "height": 560}).open_kept()
        keeper.button("Conversations").click()
        keeper.kept.refuse("GET /threads/", refusal(401, {"detail": "Expired."}))
        keeper.page.get_by_role("searchbox").fill("x")

        expect(keeper.page.locator("#drawer")).to_be_hidden()
        expect(keeper.page.locator("#token-reason")).to_contain_text("Expired.")

    def test_a_session_posts_with_its_csrf_token(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/signed-in/")
        expect(reader.token).to_be_hidden()
        reader.ask_and_wait("Hello", words("Hi", END))
        headers = reader.server.asked[0].headers

        assert "csrftoken=" in headers["cookie"]
        assert headers["x-csrftoken"] == reader.page.locator("body").get_attribute("data-csrf-token")
        assert "authorization" not in headers

    def test_what_the_api_is_sent(self, reader: Reader) -> None:
        reader.ask_and_wait("Hello", words("Hi", END))
        headers = reader.server.asked[0].headers

        assert headers["accept"] == "text/event-stream"
        assert headers["content-type"] == "application/json"
        assert "referer" not in headers


class TestReading:
    def test_the_page_follows_until_the_reader_scrolls_up(self, reader: Reader) -> None:
        lines = "line\n\n" * 60
        reader.ask("Hello", words(lines, Step.WAIT, lines, Step.WAIT, lines, END))
        last = reader.answer.locator("p").last
        expect(reader.answer.locator("p")).to_have_count(60)
        expect(last).to_be_in_viewport()

        reader.page.mouse.wheel(0, -500)
        expect(reader.button("Latest")).to_be_visible()
        place = reader.page.evaluate("scrollY")
        reader.server.go()
        expect(reader.answer.locator("p")).to_have_count(120)
        assert reader.page.evaluate("scrollY") == place

        reader.button("Latest").click()
        reader.server.go()
        expect(reader.answer.locator("p")).to_have_count(180)
        expect(last).to_be_in_viewport()
        expect(reader.button("Latest")).to_be_hidden()

    def test_code_can_be_copied_when_it_is_complete(self, reader: Reader) -> None:
        reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        reader.ask("Hello", words("```sh\nls -l\n", Step.WAIT, "```\n", END))
        expect(reader.answer.locator("pre")).to_have_text("ls -l")
        expect(reader.button("Copy")).to_have_count(0)
        reader.server.go()
        reader.button("Copy").click()

        expect(reader.button("Copied")).to_be_visible()
        assert reader.page.evaluate("navigator.clipboard.readText()") == "ls -l"

    def test_names_of_what_can_be_used(self, visit: Callable[..., Reader]) -> None:
        reader = visit().open("/")
        reader.ask_and_wait("Hello", words("Hi\n\n# Top", END))
        outline = reader.page.locator("body").aria_snapshot()

        for line in (
            'heading "Chat" [level=1]', 'log "Conversation"', "article", 'heading "You" [level=2]',
            'heading "Assistant (AI-generated)" [level=2]', 'heading "Top" [level=3]', 'textbox "API token"',
            'textbox "Your question"', 'button "Send"', 'button "New chat"', 'button "Use token"',
        ):  # fmt: skip
            assert line in outline
        expect(reader.log).to_have_attribute("aria-live", "off")

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_text_stands_out_from_its_ground(self, visit: Callable[..., Reader], scheme: str) -> None:
        reader = visit(color_scheme=scheme).open("/")
        reader.ask_and_wait("Hello", words("Hi `code` [link](https://example.com)\n\n> quote", END))
        reader.ask_and_wait("Hello", refusal(502, {"detail": "Down."}))

        assert reader.page.evaluate(CONTRASTS, 4.5) == []

    @pytest.mark.parametrize("path", ["/", "/#token=key"])
    def test_nothing_is_wider_than_a_small_screen(self, visit: Callable[..., Reader], path: str) -> None:
        reader = visit(viewport={"width": 320, "height": 560}).open(path)
        wide = "x" * 300
        blocks = [wide, f"```\n{wide}\n```", f"|{wide}|b|\n|-|-|", f"- - - {wide}", f"`{wide}`"]
        reader.ask_and_wait(wide, words("\n\n".join(blocks), END))
        reader.ask_and_wait(wide, refusal(502, {"detail": wide}))

        assert reader.page.evaluate("document.documentElement.scrollWidth") == 320
        for control in (reader.box, reader.button("Send"), reader.button("New chat"), reader.button("Try again")):
            place = control.bounding_box()
            assert place
            assert place["x"] >= 0
            assert place["x"] + place["width"] <= 320

    @pytest.mark.parametrize(
        "text", ["- שלום {}\n- Hello", "1. مرحبا {}\n2. 42", "> سلام {}", "|א {}|ב|\n|-|-|\n|1|2|"]
    )
    def test_what_is_written_from_the_right_has_its_markers_there(self, reader: Reader, text: str) -> None:
        reader.ask_and_wait("Hello", words(text.format("x" * 3), END))
        sides = reader.answer.locator("ul, ol, blockquote, .table").evaluate(
            """(block) => {
                const style = getComputedStyle(block);
                const range = document.createRange();
                const ends = [...block.querySelectorAll("li > p, td")].map((node) => {
                    range.selectNodeContents(node);
                    const right = node.getBoundingClientRect().right - parseFloat(getComputedStyle(node).paddingRight);
                    return right - range.getBoundingClientRect().right;
                });
                return { direction: style.direction, left: style.paddingLeft, ends: ends.map(Math.round) };
            }"""
        )

        assert sides["direction"] == "rtl"
        assert sides["left"] == "0px"
        assert set(sides["ends"]) <= {0}

    def test_nothing_moves_for_those_who_asked_for_that(self, visit: Callable[..., Reader]) -> None:
        reader = visit(reduced_motion="reduce").open()
        reader.ask("Hello", words(Step.WAIT))
        expect(reader.page.locator(".waiting i").first).to_be_visible()

        assert reader.page.evaluate("document.getAnimations().length") == 0


# Each visible text whose contrast with the ground below it is under the limit (WCAG 2.2, 1.4.3).
CONTRASTS = """(limit) => {
    const parse = (color) => color.match(/[\\d.]+/g).map(Number);
    const light = (color) => {
        const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
        const [r, g, b] = color.slice(0, 3).map((part) => linear(part / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (node) => {
        for (; node; node = node.parentElement) {
            const color = parse(getComputedStyle(node).backgroundColor);
            if (color[3] !== 0) return color;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const node of document.querySelectorAll("body *")) {
        const hasText = [...node.childNodes].some((child) => child.nodeType === 3 && child.data.trim());
        if (!hasText || !node.checkVisibility() || node.disabled) continue;
        const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < limit) found.push(`${node.outerHTML.slice(0, 80)}: ${ratio.toFixed(2)}`);
    }
    return found;
}"""
