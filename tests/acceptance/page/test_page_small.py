"""The page whose server keeps conversations, on a small screen: the list is a drawer."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.acceptance.page.answers import END, refusal, words
from tests.acceptance.page.reader import Reader, expect

WIDE = "x" * 300


@pytest.fixture
def small(visit: Callable[..., Reader]) -> Reader:
    """Somebody with a small screen, whose server keeps something that is wide."""
    reader = visit(viewport={"width": 320, "height": 560})
    reader.kept.usage = {"daily_remaining": 10**15}
    thread = reader.kept.thread(WIDE[:150], WIDE, f"|{WIDE}|b|\n|-|-|", "Two?", "Dos")
    thread.add("a" * 32, "assistant", "Zwei", 3)
    reader.open_kept(thread.uuid)
    expect(reader.page).to_have_title(re.compile(" · Chat$"))  # It has the focus where it wants it.
    return reader


def overflow(reader: Reader, selector: str = "html") -> int:
    """By how much something is wider than its place."""
    return int(reader.page.locator(selector).evaluate("node => node.scrollWidth - node.clientWidth"))


def test_nothing_is_wider_than_the_screen(small: Reader) -> None:
    expect(small.log.get_by_text("2 / 2")).to_be_visible()
    small.button("Bad answer").last.click()
    small.button("Edit").click()
    small.ask_and_wait(WIDE, refusal(429, {"detail": WIDE}))

    assert overflow(small) == 0


def test_nothing_in_the_drawer_is_wider_than_that(small: Reader) -> None:
    small.button("Conversations").click()
    small.page.locator("#threads [data-act=menu]").click()
    assert overflow(small, "#drawer") == 0

    small.button("Rename").click()
    assert overflow(small, "#drawer") == 0


def test_the_question_before_deleting_fits(small: Reader) -> None:
    small.button("Conversations").click()
    small.page.locator("#threads [data-act=menu]").click()
    small.button("Delete").click()
    expect(small.page.locator("#deletion")).to_be_visible()

    assert overflow(small, "#deletion") == 0
    small.page.locator("#deletion").get_by_role("button", name="Delete").click()
    expect(small.threads).to_have_count(0)
    expect(small.page.locator("#drawer")).to_be_visible()


def test_the_drawer_closes_when_a_thread_is_chosen(small: Reader) -> None:
    small.kept.thread("Spain", "One?", "Uno")
    small.button("New chat").click()
    small.button("Conversations").click()
    expect(small.button("Close")).to_be_focused()
    small.page.get_by_role("link", name="Spain").click()

    expect(small.page.locator("#drawer")).to_be_hidden()
    expect(small.answer).to_have_text("Uno")
    expect(small.box).to_be_focused()


@pytest.mark.parametrize("how", ["Escape", "Close", "beside it"])
def test_the_drawer_closes_and_the_button_has_the_focus_again(small: Reader, how: str) -> None:
    small.button("Conversations").click()
    expect(small.page.get_by_role("dialog", name="Conversations")).to_be_visible()
    if how == "Escape":
        small.page.keyboard.press("Escape")
    elif how == "Close":
        small.button("Close").click()
    else:
        small.page.mouse.click(310, 300)

    expect(small.page.locator("#drawer")).to_be_hidden()
    expect(small.button("Conversations")).to_be_focused()


def test_a_turned_screen_shows_the_list_beside_the_conversation(small: Reader) -> None:
    small.button("Conversations").click()
    small.page.set_viewport_size({"width": 1200, "height": 800})

    expect(small.page.locator("#drawer")).to_be_hidden()
    expect(small.page.get_by_role("complementary", name="Conversations")).to_be_visible()
    expect(small.button("Conversations")).to_be_hidden()
    assert overflow(small) == 0


def test_escape_in_the_drawer_does_not_stop_an_answer(small: Reader) -> None:
    small.button("New chat").click()
    small.ask_and_wait("One?", words("Uno", END))
    small.button("Conversations").click()
    small.page.keyboard.press("Escape")

    expect(small.log.get_by_text("Stopped.")).to_have_count(0)
