"""The page whose server keeps conversations, by keyboard and by ear; in dark, and from right to left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.page.answers import END, Step, words
from tests.acceptance.page.reader import Reader, expect
from tests.acceptance.page.test_page_use import CONTRASTS


def focused(reader: Reader) -> str:
    """The name of what has the focus."""
    return str(reader.page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent").strip())


def test_tab_goes_through_all_in_the_order_of_the_screen(keeper: Reader) -> None:
    thread = keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept(thread.uuid)
    expect(keeper.answer).to_have_text("Uno")
    expect(keeper.threads).to_have_count(1)
    keeper.page.get_by_role("searchbox").focus()
    names = []
    for _ in range(10):
        keeper.page.keyboard.press("Tab")
        names.append(focused(keeper))

    assert names == [
        "Archived", "Spain", "Options for Spain", "API token", "New chat", "Edit", "Answer again", "Good answer",
        "Bad answer", "",
    ]  # fmt: skip
    expect(keeper.box).to_be_focused()


def test_a_menu_opens_by_key_and_escape_leads_back(keeper: Reader) -> None:
    keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept()
    keeper.button("Options for Spain").focus()
    keeper.page.keyboard.press("Enter")
    keeper.page.keyboard.press("Tab")
    assert focused(keeper) == "Rename"

    keeper.page.keyboard.press("Escape")
    expect(keeper.button("Options for Spain")).to_be_focused()
    expect(keeper.button("Rename")).to_have_count(0)


def test_escape_closes_what_is_open_before_it_stops(keeper: Reader) -> None:
    keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept()
    keeper.ask("Two?", words("Dos", Step.WAIT, END))
    expect(keeper.answer).to_have_text("Dos")
    keeper.menu("Spain", "Rename")
    keeper.page.keyboard.press("Escape")
    keeper.button("Options for Spain").click()
    keeper.page.keyboard.press("Escape")
    keeper.menu("Spain", "Delete")
    keeper.page.keyboard.press("Escape")
    expect(keeper.page.locator("#deletion")).to_be_hidden()
    expect(keeper.button("Stop")).to_be_visible()

    keeper.box.focus()
    keeper.page.keyboard.press("Escape")
    expect(keeper.log.get_by_text("Stopped.")).to_be_visible()


def test_a_menu_stays_open_while_the_list_is_refreshed(keeper: Reader) -> None:
    keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept()
    keeper.ask("Two?", words("Dos", Step.WAIT, END))
    expect(keeper.threads).to_have_count(2)
    keeper.menu("Spain", "Rename")
    keeper.page.keyboard.type("Half a na")
    keeper.server.go()
    keeper.hears("Answer complete.")
    keeper.until(lambda: len(keeper.kept.calls("GET /threads/")) >= 3)

    expect(keeper.page.get_by_role("textbox", name="Name")).to_be_focused()
    expect(keeper.page.get_by_role("textbox", name="Name")).to_have_value("Half a na")
    assert keeper.kept.calls("PATCH ") == []


def test_names_of_what_can_be_used(keeper: Reader) -> None:
    thread = keeper.kept.thread("Spain", "One?", "Uno")
    thread.add("a" * 32, "assistant", "Eins", 1)
    keeper.kept.page_size = 1
    keeper.kept.thread("Italy")
    keeper.open_kept(thread.uuid)
    expect(keeper.answer).to_have_text("Eins")
    expect(keeper.threads).to_have_count(1)
    outline = keeper.page.locator("body").aria_snapshot()

    for line in (
        'complementary "Conversations"', 'heading "Conversations" [level=2]', 'searchbox "Search conversations"',
        'button "Archived"', "list", "listitem", 'link "Italy"', 'button "Options for Italy"', 'button "Show more"',
        'group "Versions of the answer"', 'button "Previous version"', 'button "Next version" [disabled]',
        'button "Answer again"', 'button "Good answer"', 'button "Bad answer"', 'button "Edit"',
    ):  # fmt: skip
        assert line in outline


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(visit: Callable[..., Reader], scheme: str) -> None:
    reader = visit(color_scheme=scheme)
    reader.kept.usage = {"daily_remaining": 5}
    reader.kept.thread("Italy")
    thread = reader.kept.thread("Spain", "One?", "Uno")
    thread.add("a" * 32, "assistant", "Eins", 1)
    reader.open_kept(thread.uuid)
    reader.button("Archived").focus()
    reader.button("Previous version").click()
    reader.button("Bad answer").click()
    reader.button("Edit").click()
    reader.button("Options for Spain").click()
    expect(reader.page.get_by_label("Comment")).to_be_visible()
    reader.page.mouse.move(1000, 10)

    assert reader.page.evaluate(CONTRASTS, 4.5) == []


def test_from_right_to_left_the_list_is_on_the_right(keeper: Reader, settings: Any) -> None:
    settings.LANGUAGE_CODE = "ar"
    keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept()
    expect(keeper.threads).to_have_count(1)
    place = keeper.page.locator("#side").bounding_box()

    assert keeper.page.evaluate("document.documentElement.dir") == "rtl"
    assert place
    assert place["x"] + place["width"] == keeper.page.evaluate("document.documentElement.clientWidth")
    assert keeper.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
