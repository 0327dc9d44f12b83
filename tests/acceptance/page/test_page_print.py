"""The page on paper: the conversation alone, and all of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.acceptance import needs
from tests.acceptance.page.answers import END, words
from tests.acceptance.page.reader import Reader, expect

LONG_LINE = "x = " + " + ".join(f"number_{number}" for number in range(60))
ANSWER = f"## Uno\n\n```py\n{LONG_LINE}\n```\n\n|a|b|\n|-|-|\n|{'c' * 300}|d|\n"
WIDTH = 700  # pixels of a sheet of paper, less its margins


@pytest.fixture
def printed(visit: Callable[..., Reader]) -> Reader:
    """A conversation in a browser that is dark, as it is printed."""
    reader = visit(color_scheme="dark", viewport={"width": WIDTH, "height": 1000})
    thread = reader.kept.thread("Spain", "One?", ANSWER, "Two?", "Dos")
    thread.add(reader.kept.uuid(), "assistant", "Two again", 3, status="stopped")
    reader.open_kept(thread.uuid)
    expect(reader.log.get_by_role("article")).to_have_count(2)
    reader.page.emulate_media(media="print")
    return reader


def test_only_the_conversation_is_printed(printed: Reader) -> None:
    shown = printed.page.evaluate("""() => [...document.querySelectorAll("body *:not(#transcript, #transcript *)")]
        .filter((node) => node.checkVisibility()).map((node) => node.id || node.localName)""")
    assert shown == ["main", "printed-title"]
    expect(printed.page.locator("#printed-title")).to_have_text("Spain")
    for clicked in ("button", "textarea", "input", ".tools", "summary"):
        expect(printed.page.locator(clicked).locator("visible=true")).to_have_count(0)
    expect(printed.log.get_by_role("heading", name="Assistant (AI-generated)").first).to_be_in_viewport()
    expect(printed.log.get_by_text("Stopped.")).to_be_visible()


def test_nothing_is_wider_than_the_paper(printed: Reader) -> None:
    assert printed.page.evaluate("document.documentElement.scrollWidth") == WIDTH
    for part in (".code pre", ".table"):
        assert printed.page.locator(part).evaluate("node => node.scrollWidth <= node.clientWidth")


def test_the_dark_theme_is_printed_as_the_light_one(printed: Reader) -> None:
    colors = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    assert printed.page.locator("body").evaluate(colors) == ["rgb(255, 255, 255)", "rgb(28, 35, 48)"]


def test_a_question_that_is_being_edited_is_printed_as_it_was_asked(printed: Reader) -> None:
    printed.page.emulate_media(media="screen")
    printed.button("Edit").click()
    printed.page.emulate_media(media="print")

    expect(printed.log.locator(".question p").last).to_be_visible()
    expect(printed.page.get_by_role("textbox")).to_have_count(0)


def test_a_conversation_without_a_name_is_called_like_the_page(reader: Reader) -> None:
    reader.ask_and_wait("One?", words("Uno", END))
    reader.page.emulate_media(media="print")

    expect(reader.page.get_by_role("heading", level=1)).to_have_text("Chat")


def test_a_long_conversation_is_printed_to_its_end(keeper: Reader) -> None:
    text = needs.program("pdftotext")
    said = [f"message{number}\n\n```\n{LONG_LINE}\n```\n" for number in range(60)]
    keeper.open_kept(keeper.kept.thread("Spain", *said).uuid)
    expect(keeper.log.get_by_role("article")).to_have_count(30)
    sheets = subprocess.run([text, "-", "-"], input=keeper.page.pdf(), capture_output=True, check=True).stdout.decode()

    assert sheets.count("\f") > 5
    assert [word for word in sheets.split() if word.startswith("message")] == [line.split()[0] for line in said]
    assert "".join(sheets.split()).count("number_59") == 60
    assert "New chat" not in sheets
