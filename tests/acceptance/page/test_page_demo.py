"""The demo at the page: tools without a model, the same while an answer is written and after a reload."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.page.reader import expect
from tests.acceptance.test_demo import ENVIRONMENT
from tests.processes import Running, free_port, process

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLD = 20_000
"""Milliseconds that the first answer of a new server may take."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """`manage.py demo`, with a token that is known."""
    directory, port = tmp_path_factory.mktemp("demo_page"), free_port()
    command = [sys.executable, "manage.py", "demo", "--bind", f"127.0.0.1:{port}", "--token", "abc"]
    names = {**ENVIRONMENT, "WALDUR_CHAT_DB": str(directory / "demo.sqlite3")}
    with process(command, port, directory / "demo.log", names) as running:
        yield running


@pytest.fixture
def page(chromium: Browser, demo: Running) -> Iterator[Page]:
    """The page, opened with the token."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{demo.address}/#token=abc")
    yield page
    context.close()


def ask(page: Any, question: str) -> None:
    turns = page.locator(".turn").count()
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(turns + 1)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=COLD)


def test_projects_are_listed(page: Any) -> None:
    ask(page, "List my projects")
    expect(page.locator(".call summary")).to_have_text("list projects done")
    expect(page.locator(".markdown td").first).to_have_text("Apollo")


def test_what_is_approved_has_its_effect_and_looks_the_same_after_a_reload(page: Any) -> None:
    ask(page, "Create a small VM called web-7 in project Gemini")
    page.reload()
    page.get_by_role("button", name="Approve", exact=True).click()
    state = page.locator(".call .state")
    expect(state).to_have_text("done", timeout=COLD)
    expect(page.locator("td").filter(has_text="web-7")).to_be_visible()
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=COLD)
    shown = page.locator("#transcript").inner_text()

    page.reload()
    expect(state).to_have_text("done", timeout=COLD)
    assert page.locator("#transcript").inner_text() == shown
    page.locator(".call summary").click()
    expect(page.locator(".call pre")).to_contain_text('"name": "web-7"')


def test_a_form_asks_for_what_is_missing(page: Any) -> None:
    ask(page, "Create a VM called web-9")
    page.get_by_role("radio", name="Gemini").check()
    page.get_by_role("radio", name="small").check()
    page.get_by_role("button", name="Answer", exact=True).click()
    call = page.locator(".call summary").filter(has_text="create vm")
    expect(call).to_have_count(1, timeout=COLD)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=COLD)
    shown = page.locator("#transcript").inner_text()

    page.reload()
    expect(call).to_have_count(1, timeout=COLD)
    assert page.locator("#transcript").inner_text() == shown
