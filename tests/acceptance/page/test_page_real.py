"""The chat page in front of the real API."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.page.reader import expect
from tests.processes import TOKEN, Running, host

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLD = 20_000
"""Milliseconds that the first answer of a new server may take."""


@pytest.fixture(scope="module")
def titled_chat(fake: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A host that asks its model for titles, too."""
    directory, provider = tmp_path_factory.mktemp("titled_chat"), f"{fake.address}/v1"
    with host("uvicorn", directory, model="tokens=5", provider=provider, settings={"TITLES": True}) as running:
        yield running


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
    expect(page.locator(".markdown").last).to_have_text(re.compile(r"^w0( w1)?( w2)?( w3)?$"), timeout=COLD)
    expect(page.locator(".markdown").last).to_have_text("w0 w1 w2 w3 w4")
    expect(page.get_by_role("status")).to_have_text("Answer complete.")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [("status=500", "The language model failed"), ("tokens=5&fault=2", "The language model failed")],
)
def test_a_failure_is_said_in_words(page: Any, chat_with: Callable[[str], Running], model: str, sentence: str) -> None:
    ask(page, chat_with(model), "Hello")
    expect(page.get_by_role("log")).to_contain_text("The language model failed", timeout=COLD)
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


class TestConversations:
    """What is said there is kept."""

    @pytest.fixture(autouse=True)
    def wide(self, page: Any) -> None:
        """A screen with room for the list of conversations."""
        page.set_viewport_size({"width": 1200, "height": 800})

    @staticmethod
    def edit(page: Any, question: str) -> None:
        """Ask the last question in other words."""
        page.get_by_role("button", name="Edit", exact=True).click()
        page.get_by_role("textbox", name="Edited question").fill(question)
        page.keyboard.press("Enter")

    def test_a_conversation_gets_a_name_and_is_there_after_a_reload(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno", timeout=COLD)
        expect(page.locator("#threads a[aria-current=true]")).to_have_text("w0 w1 w2 w3 w4", timeout=10_000)
        expect(page).to_have_url(re.compile("#thread=[0-9a-f]{32}$"))

        page.reload()
        expect(page.locator(".question p")).to_have_text("fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno")

    def test_versions_and_ratings_stay(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno", timeout=COLD)
        page.get_by_role("button", name="Answer again").click()
        expect(page.locator(".answer .pager span")).to_have_text("2 / 2")
        self.edit(page, "fake:text=Dos")
        expect(page.locator(".markdown")).to_have_text("Dos")
        expect(page.locator(".answer .pager span")).to_have_text("3 / 3")
        page.get_by_role("button", name="Bad answer").click()
        page.get_by_label("Comment").fill("Not <b>three</b>?")
        page.get_by_role("button", name="Send feedback").click()
        expect(page.get_by_label("Comment")).to_have_count(0)

        page.reload()
        expect(page.locator(".question p")).to_have_text("fake:text=Dos")
        expect(page.locator(".question .pager span")).to_have_text("2 / 2")
        expect(page.locator(".answer .pager span")).to_have_text("3 / 3")
        page.get_by_role("button", name="Bad answer").click()
        expect(page.get_by_label("Comment")).to_have_value("Not <b>three</b>?")

    def test_it_is_renamed_archived_found_and_deleted(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno", timeout=COLD)
        menu = page.locator("#threads li.active [data-act=menu]")
        expect(page.locator("#threads a[aria-current=true]")).to_have_text("w0 w1 w2 w3 w4", timeout=10_000)
        menu.click()
        page.get_by_role("button", name="Rename", exact=True).click()
        page.keyboard.type("Numbers of Spain")
        page.keyboard.press("Enter")
        link = page.get_by_role("link", name="Numbers of Spain")
        page.get_by_role("searchbox").fill("numbers of")
        expect(page.locator("#threads a")).to_have_text(["Numbers of Spain"])

        menu.click()
        page.get_by_role("button", name="Archive", exact=True).click()
        expect(link).to_have_count(0)
        page.get_by_role("button", name="Archived", exact=True).click()
        expect(link).to_be_visible()
        menu.click()
        page.get_by_role("button", name="Delete", exact=True).click()
        page.locator("#deletion").get_by_role("button", name="Delete").click()
        expect(link).to_have_count(0)
        expect(page.get_by_role("log")).to_be_empty()

    @pytest.mark.parametrize("question", ["fake:first=30", "fake:tokens=99&delay=0.2"])
    def test_what_was_stopped_can_be_answered_at_once(self, page: Any, titled_chat: Running, question: str) -> None:
        ask(page, titled_chat, question)
        if "delay" in question:
            expect(page.locator(".markdown")).to_contain_text("w0", timeout=COLD)
        else:
            page.wait_for_timeout(500)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()

        self.edit(page, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno")

    def test_a_question_that_failed_is_asked_again_in_its_place(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:status=500")
        expect(page.get_by_role("log")).to_contain_text("The language model failed", timeout=COLD)
        self.edit(page, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno")

        page.reload()
        expect(page.locator(".markdown")).to_have_text("Uno")
        expect(page.locator(".question p")).to_have_text("fake:text=Uno")

    @pytest.mark.parametrize(
        ("question", "end"),
        [
            ("fake:status=500", "The language model failed"),
            ("fake:tokens=5&fault=2", "The language model"),
        ],
    )
    def test_a_failure_is_the_same_after_a_reload(
        self, page: Any, titled_chat: Running, question: str, end: str
    ) -> None:
        ask(page, titled_chat, question)
        outcome = page.locator(".turn .outcome.error")
        expect(outcome).to_contain_text(end, timeout=COLD)
        expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
        shown = page.locator(".answer").inner_text()

        page.reload()
        expect(outcome).to_contain_text(end)
        expect(page.locator(".answer")).to_have_text(re.compile(re.escape(end)))
        assert page.locator(".answer").inner_text() == shown

    @pytest.mark.parametrize("question", ["fake:first=30", "fake:tokens=99&delay=0.2"])
    def test_what_was_stopped_is_so_after_a_reload(self, page: Any, titled_chat: Running, question: str) -> None:
        ask(page, titled_chat, question)
        expect(page).to_have_url(re.compile("#thread="), timeout=COLD) if "delay" in question else None
        page.wait_for_timeout(500)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
        page.wait_for_timeout(1000)

        page.reload()
        expect(page.locator(".turn .outcome p")).to_have_text("Stopped.")
        expect(page.get_by_role("button", name="Try again")).to_be_visible()

    def test_a_failed_first_question_is_in_the_list_by_its_words(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:status=500")
        expect(page.get_by_role("log")).to_contain_text("The language model failed", timeout=COLD)
        expect(page.locator("#threads a[aria-current=true]")).to_have_text("fake:status=500")

        page.reload()
        expect(page.locator("#threads a[aria-current=true]")).to_have_text("fake:status=500")

    def test_the_notice_is_there_before_anybody_logs_in(self, page: Any, titled_chat: Running) -> None:
        page.goto(titled_chat.address)

        expect(page.get_by_text("You are chatting with an AI system.")).to_be_visible()

    def test_an_edit_that_failed_is_asked_again_in_its_place(self, page: Any, titled_chat: Running) -> None:
        ask(page, titled_chat, "fake:text=Uno")
        expect(page.locator(".markdown")).to_have_text("Uno", timeout=COLD)
        for question in ("fake:status=500", "fake:text=Dos"):
            expect(page.get_by_role("button", name="Edit", exact=True)).to_be_visible()
            self.edit(page, question)
            expect(page.get_by_role("log").locator("[aria-busy]")).to_have_count(0)

        expect(page.locator(".markdown")).to_have_text("Dos")
