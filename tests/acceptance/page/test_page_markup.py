"""Markup in what the server keeps: shown as the text that it is, wherever it stands."""

from __future__ import annotations

from tests.acceptance.page.answers import refusal
from tests.acceptance.page.reader import Reader, expect

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>{name}$&"


def test_in_names_questions_answers_and_errors(keeper: Reader) -> None:
    thread = keeper.kept.thread(MARKUP, MARKUP, MARKUP)
    thread.messages[1]["feedback_comment"] = MARKUP
    keeper.open_kept(thread.uuid)
    expect(keeper.threads).to_have_text([MARKUP])
    expect(keeper.log.locator(".question p")).to_have_text(MARKUP)
    expect(keeper.answer).to_have_text(MARKUP)
    expect(keeper.page).to_have_title(f"{MARKUP} · Chat")
    keeper.hears(f"Conversation opened: {MARKUP}")

    keeper.button("Bad answer").click()
    keeper.menu(MARKUP, "Delete")
    expect(keeper.page.locator("#deletion-title")).to_have_text(f"Delete “{MARKUP}”?")
    keeper.kept.refuse("DELETE ", refusal(409, {"detail": MARKUP}))
    keeper.page.locator("#deletion").get_by_role("button", name="Delete").click()
    expect(keeper.page.locator("#side-notice")).to_have_text(MARKUP)
    expect(keeper.page.locator("body").locator("img, script")).to_have_count(0)


def test_in_a_name_that_is_edited(keeper: Reader) -> None:
    keeper.kept.thread("Spain")
    keeper.open_kept()
    keeper.menu("Spain", "Rename")
    keeper.page.get_by_role("textbox", name="Name").fill(MARKUP)
    keeper.page.keyboard.press("Enter")

    expect(keeper.threads).to_have_text([MARKUP])
    expect(keeper.page.locator("body").locator("img, script")).to_have_count(0)
