"""Thumbs up and down."""

from __future__ import annotations

import pytest

from tests.acceptance.page.answers import refusal
from tests.acceptance.page.keeping import Thread
from tests.acceptance.page.reader import Reader, expect


@pytest.fixture
def spain(keeper: Reader) -> Thread:
    """A thread that the reader has open."""
    thread = keeper.kept.thread("Spain", "One?", "Uno")
    keeper.open_kept(thread.uuid)
    return thread


def sent(reader: Reader) -> list[object]:
    return [call.body for call in reader.kept.calls("POST /messages/")]


def test_up_is_sent_and_shown_pressed(keeper: Reader, spain: Thread) -> None:
    keeper.button("Good answer").click()

    expect(keeper.button("Good answer")).to_have_attribute("aria-pressed", "true")
    expect(keeper.button("Bad answer")).to_have_attribute("aria-pressed", "false")
    keeper.hears("Thank you for the feedback.")
    (call,) = keeper.kept.calls("POST /messages/")
    assert (call.path, call.body) == (f"/messages/{spain.messages[1]['uuid']}/feedback/", {"score": True})


def test_down_is_sent_at_once_and_asks_for_more(keeper: Reader, spain: Thread) -> None:
    keeper.button("Bad answer").click()
    form = keeper.page.get_by_role("form", name="Feedback")
    expect(form.get_by_label("What was wrong?")).to_be_focused()
    form.get_by_label("What was wrong?").select_option("Misunderstood")
    form.get_by_label("Comment").fill(" Not what I asked. ")
    form.get_by_role("button", name="Send feedback").click()

    expect(form).to_be_hidden()
    expect(keeper.button("Bad answer")).to_be_focused()
    assert sent(keeper) == [
        {"score": False},
        {"score": False, "category": "misunderstood", "comment": "Not what I asked."},
    ]


@pytest.mark.parametrize("how", ["Escape", "No, thank you"])
def test_the_form_need_not_be_filled_in(keeper: Reader, spain: Thread, how: str) -> None:
    keeper.button("Bad answer").click()
    expect(keeper.page.get_by_label("Comment")).to_be_visible()
    keeper.page.keyboard.press("Escape") if how == "Escape" else keeper.button(how).click()

    expect(keeper.page.get_by_label("Comment")).to_have_count(0)
    expect(keeper.button("Bad answer")).to_have_attribute("aria-pressed", "true")
    assert sent(keeper) == [{"score": False}]


def test_what_was_said_earlier_is_there_after_a_reload_and_can_be_changed(keeper: Reader, spain: Thread) -> None:
    keeper.button("Bad answer").click()
    keeper.page.get_by_label("What was wrong?").select_option("slow_or_failed")
    keeper.page.get_by_label("Comment").fill("Slow")
    keeper.button("Send feedback").click()
    keeper.until(lambda: len(sent(keeper)) == 2)
    keeper.page.reload()
    expect(keeper.button("Bad answer")).to_have_attribute("aria-pressed", "true")

    keeper.button("Bad answer").click()
    expect(keeper.page.get_by_label("What was wrong?")).to_have_value("slow_or_failed")
    expect(keeper.page.get_by_label("Comment")).to_have_value("Slow")
    keeper.button("Good answer").click()
    expect(keeper.page.get_by_label("Comment")).to_have_count(0)
    expect(keeper.button("Bad answer")).to_have_attribute("aria-pressed", "false")
    assert sent(keeper)[2:] == [{"score": True}]


def test_each_version_has_its_own(keeper: Reader, spain: Thread) -> None:
    spain.add("a" * 32, "assistant", "Eins", 1)
    keeper.page.reload()
    keeper.button("Good answer").click()
    expect(keeper.button("Good answer")).to_have_attribute("aria-pressed", "true")

    keeper.button("Previous version").click()
    expect(keeper.button("Good answer")).to_have_attribute("aria-pressed", "false")


def test_a_comment_that_was_refused_stays_in_the_form(keeper: Reader, spain: Thread) -> None:
    keeper.button("Bad answer").click()
    keeper.page.get_by_label("Comment").fill("Slow")
    keeper.kept.refuse("POST /messages/", refusal(503, {"detail": "Busy."}))
    keeper.button("Send feedback").click()

    expect(keeper.page.locator("#notice")).to_have_text("Busy.")
    expect(keeper.page.get_by_label("Comment")).to_have_value("Slow")


def test_a_thumb_that_was_refused_is_not_pressed(keeper: Reader, spain: Thread) -> None:
    keeper.kept.refuse("POST /messages/", refusal(503, {"detail": "Busy."}))
    keeper.button("Bad answer").click()

    expect(keeper.page.locator("#notice")).to_have_text("Busy.")
    expect(keeper.button("Bad answer")).to_have_attribute("aria-pressed", "false")
    expect(keeper.page.get_by_label("Comment")).to_have_count(0)
