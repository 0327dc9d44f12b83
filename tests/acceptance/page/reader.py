"""Somebody who reads the chat page in a real browser: the fixtures `visit`, `reader` and what they stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from django.test import override_settings

from tests.acceptance import needs
from tests.acceptance.page.answers import Answer
from tests.acceptance.page.keeping import Keeping
from tests.acceptance.page.server import PageServer, running

try:
    from playwright.sync_api import expect
except ImportError:
    expect = None  # type: ignore[assignment]  # the fixture `chromium` says what is missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["Reader", "chromium", "expect", "keeper", "page_server", "reader", "serving", "visit"]

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


@pytest.fixture(scope="module")  # not longer: the event loop that it brings would disturb the tests of others
def chromium() -> Iterator[Browser]:
    start = needs.module("playwright.sync_api").sync_playwright
    with start() as playwright:
        browser = playwright.chromium.launch(executable_path=needs.program("chromium"), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def serving() -> Iterator[PageServer]:
    with override_settings(ROOT_URLCONF="tests.acceptance.page.urls", STATIC_URL="/static/"), running() as server:
        yield server


@pytest.fixture
def page_server() -> Iterator[PageServer]:
    with serving() as server:
        yield server


@dataclass
class Reader:
    """Somebody at the page; whatever the page does that it must never do is noted, and fails the test at its end."""

    page: Page
    server: PageServer
    misdeeds: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._look_at)
        self.page.on("dialog", self._dismiss)
        self.page.on("pageerror", lambda error: self.misdeeds.append(f"error {error}"))
        self.page.on("console", lambda message: self._listen(message.text))
        self.page.on("popup", lambda popup: self.misdeeds.append(f"popup {popup.url}"))

    def _look_at(self, request: Any) -> None:
        if not request.url.startswith(self.server.url + "/"):
            self.misdeeds.append(f"request {request.url}")

    def _dismiss(self, dialog: Any) -> None:
        self.misdeeds.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _listen(self, text: str) -> None:
        if not text.startswith("Failed to load resource"):  # every refusal of the API is logged by the browser
            self.misdeeds.append(f"console {text}")

    def open(self, path: str = "/#token=key") -> Reader:
        self.page.goto(self.server.url + path)
        return self

    def open_kept(self, thread: str = "") -> Reader:
        """Open the page whose server keeps conversations, at one of these."""
        return self.open("/kept/#token=key" + (thread and f"&thread={thread}"))

    @property
    def kept(self) -> Keeping:
        """The conversations of the server."""
        return self.server.kept

    @property
    def box(self) -> Locator:
        return self.page.get_by_role("textbox", name="Your question")

    @property
    def token(self) -> Locator:
        return self.page.get_by_label("API token", exact=True).and_(self.page.locator("input"))

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log", name="Conversation")

    @property
    def answer(self) -> Locator:
        """The text of the last answer."""
        return self.page.locator(".markdown").last

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def threads(self) -> Locator:
        """The links to the threads in the list."""
        return self.page.locator("#threads a")

    def menu(self, name: str, act: str) -> None:
        """Choose something in the menu of a thread."""
        self.button(f"Options for {name}").click()
        self.button(act).click()

    def ask(self, question: str, *answers: Answer) -> None:
        self.server.answer(*answers)
        self.box.fill(question)
        self.box.press("Enter")

    def ask_and_wait(self, question: str, *answers: Answer) -> None:
        self.ask(question, *answers)
        expect(self.log.locator("[aria-busy]")).to_have_count(0)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the page does behind the scenes."""
        for _ in range(200):
            if holds():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError("it did not come")

    def hears(self, sentence: str) -> None:
        expect(self.page.get_by_role("status")).to_have_text(sentence)


@pytest.fixture
def visit(chromium: Browser, page_server: PageServer) -> Iterator[Callable[..., Reader]]:
    """Open a browser of its own for each reader, with the options of `Browser.new_context`."""
    readers: list[Reader] = []

    def visit(**options: Any) -> Reader:
        readers.append(Reader(page=chromium.new_context(**options).new_page(), server=page_server))
        readers[-1].page.set_default_timeout(10_000)
        return readers[-1]

    yield visit
    for reader in readers:
        reader.page.context.close()
        assert not reader.misdeeds, reader.misdeeds


@pytest.fixture
def reader(visit: Callable[..., Reader]) -> Reader:
    return visit().open()


@pytest.fixture
def keeper(visit: Callable[..., Reader]) -> Reader:
    """Somebody at a page whose server keeps conversations; it is opened by the test, which first says what is kept."""
    return visit()
