"""The chat page in front of the real API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.page.reader import expect
from tests.processes import TOKEN, Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


def ask(page: Any, server: Running, question: str) -> None:
    """Open the page with a token, and ask."""
    page.goto(f"{server.address}/#token={TOKEN}")
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")


def test_an_answer_arrives_whole(page: Any, slow_chat: Running) -> None:
    ask(page, slow_chat, "Hello")
    expect(page.locator(".markdown").last).to_have_text(re.compile(r"^w0( w1)?( w2)?( w3)?$"))
    expect(page.locator(".markdown").last).to_have_text("w0 w1 w2 w3 w4")
    expect(page.get_by_role("status")).to_have_text("Answer complete.")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("status=500", "The language model failed"), ("tokens=5&fault=2", "The language model failed")],
)
def test_a_failure_is_said_in_words(page: Any, chat_with: Callable[[str], Running], model: str, sentence: str) -> None:
    ask(page, chat_with(model), "Hello")
    expect(page.get_by_role("log")).to_contain_text("The language model failed")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
