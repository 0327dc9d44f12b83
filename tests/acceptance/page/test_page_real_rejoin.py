"""The chat page comes back to running answers of the real API: reloaded, opened elsewhere, and cut off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.page.cutting import Cutting, cutting
from tests.acceptance.page.reader import expect
from tests.processes import TOKEN, Running, host

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

COLD = 20_000
"""Milliseconds that the first answer of a new server may take."""

TOKENS = 20
QUESTION = f"fake:tokens={TOKENS}&delay=0.05"
WHOLE = " ".join(f"w{number}" for number in range(TOKENS))
MOMENTS = [number * 0.3 for number in range(4)]
"""Seconds after the question; the answer is written for one second."""


@pytest.fixture(scope="module")
def hosts(fake: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start the host on a kind of server, once for each."""
    options = {"model": "tokens=5", "provider": f"{fake.address}/v1", "settings": {"FINISH_SECONDS": None}}
    with ExitStack() as stack:

        @cache
        def start(kind: str) -> Running:
            return stack.enter_context(host(kind, tmp_path_factory.mktemp("host"), **options))

        yield start


on_each_server = pytest.mark.parametrize("server", ["uvicorn", "gunicorn-gthread"], indirect=True)


@pytest.fixture
def server(request: pytest.FixtureRequest, hosts: Callable[[str], Running]) -> Running:
    """The host, on one kind of server or on each; to the page they are alike but for how they stream and are cut."""
    return hosts(getattr(request, "param", "uvicorn"))


@pytest.fixture
def proxy(server: Running) -> Iterator[Cutting]:
    """What stands between the browser and the host."""
    with cutting(server.port) as proxy:
        yield proxy


@contextmanager
def new_page(chromium: Browser) -> Iterator[Page]:
    """A page of a browser that knows nothing yet."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """See new_page()."""
    with new_page(chromium) as page:
        yield page


def ask(page: Any, address: str, question: str = QUESTION) -> None:
    """Open the page with a token, and ask; this returns when the question has been sent."""
    page.goto(f"{address}/#token={TOKEN}")
    page.get_by_role("textbox", name="Your question").fill(question)
    with page.expect_request("**/stream/"):
        page.keyboard.press("Enter")


def shows_it_whole(page: Any, question: str = QUESTION, answer: str = WHOLE) -> None:
    """The question once, all of the answer, and what can be done with a finished one."""
    expect(page.get_by_role("button", name="Good answer")).to_be_visible(timeout=COLD)
    expect(page.locator(".markdown")).to_have_text(answer)
    expect(page.locator(".question p")).to_have_text(question)
    expect(page.locator(".turn .outcome")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


@on_each_server
def test_a_page_that_is_reloaded_shows_the_whole_answer(chromium: Browser, server: Running) -> None:
    for moment in MOMENTS:
        with new_page(chromium) as page:
            ask(page, server.address)
            page.wait_for_timeout(1000 * moment)
            page.reload()
            shows_it_whole(page)
            page.reload()
            shows_it_whole(page)


def test_a_page_that_is_reloaded_when_all_comes_at_once_does_too(chromium: Browser, server: Running) -> None:
    for moment in (0, 0.02, 0.04, 0.08):
        with new_page(chromium) as page:
            ask(page, server.address, "fake:text=Uno")
            page.wait_for_timeout(1000 * moment)
            page.reload()
            shows_it_whole(page, "fake:text=Uno", "Uno")


def test_a_page_that_is_reloaded_many_times_does_too(page: Any, server: Running) -> None:
    ask(page, server.address, "fake:tokens=20&delay=0.2")
    for _ in range(12):
        page.wait_for_timeout(200)
        page.reload()

    shows_it_whole(page, "fake:tokens=20&delay=0.2")


@pytest.mark.parametrize("mode", ["new", "next", "reload", "edit"])
def test_a_page_that_is_reloaded_before_the_first_word_does_too(page: Any, server: Running, mode: str) -> None:
    silent = "fake:first=4&text=Uno"
    if mode == "new":
        ask(page, server.address, silent)
    else:
        ask(page, server.address, silent.replace("4", "0") if mode != "reload" else "fake:first=3&text=Uno")
        expect(page.get_by_role("button", name="Good answer")).to_be_visible(timeout=COLD)
        with page.expect_request("**/stream/"):
            again(page, mode, silent)
    page.wait_for_timeout(300)
    page.reload()

    expect(page.locator("[aria-busy]")).to_have_count(1)
    expect(page.locator("[aria-busy]")).to_have_count(0, timeout=COLD)
    expect(page.locator(".markdown").last).to_have_text("Uno")
    expect(page.locator(".question p").last).to_have_text("fake:first=3&text=Uno" if mode == "reload" else silent)
    expect(page.get_by_role("article")).to_have_count(2 if mode == "next" else 1)
    pager = page.locator(".answer .pager span").last
    expect(pager).to_have_text("2 / 2") if mode in ("reload", "edit") else expect(pager).to_be_hidden()


def again(page: Any, mode: str, question: str) -> None:
    """Ask again, in this way."""
    if mode == "reload":
        page.get_by_role("button", name="Answer again").click()
        return
    if mode == "edit":
        page.get_by_role("button", name="Edit", exact=True).click()
    name = "Edited question" if mode == "edit" else "Your question"
    page.get_by_role("textbox", name=name).fill(question)
    page.keyboard.press("Enter")


def test_another_tab_reads_along_and_stops_it(page: Any, server: Running) -> None:
    ask(page, server.address, "fake:tokens=99&delay=0.1")
    expect(page).to_have_url(re.compile("#thread=[0-9a-f]{32}$"), timeout=COLD)
    thread = page.url.rpartition("#")[2]
    other = page.context.new_page()
    other.goto(f"{server.address}/#token={TOKEN}&{thread}")
    expect(other.locator(".markdown")).to_contain_text("w5 w6", timeout=COLD)
    other.get_by_role("button", name="Stop").click()

    for reader in (page, other):
        expect(reader.get_by_role("button", name="Good answer")).to_be_visible()
        expect(reader.get_by_role("button", name="Try again")).to_be_visible()


@on_each_server
def test_a_connection_that_is_cut_costs_nothing(chromium: Browser, proxy: Cutting) -> None:
    for moment in (0.1, 0.4, 0.8):
        with new_page(chromium) as page:
            ask(page, proxy.address)
            expect(page.locator(".markdown")).to_contain_text("w0", timeout=COLD)
            page.wait_for_timeout(1000 * moment)
            proxy.cut()
            shows_it_whole(page)
            page.reload()
            shows_it_whole(page)


def test_a_network_that_is_away_for_a_while_costs_nothing_either(page: Any, proxy: Cutting) -> None:
    ask(page, proxy.address, "fake:tokens=20&delay=0.2")
    expect(page.locator(".markdown")).to_contain_text("w2", timeout=COLD)
    with proxy.down():
        expect(page.locator(".waiting")).to_contain_text("Reconnecting…")
        page.wait_for_timeout(1500)

    shows_it_whole(page, "fake:tokens=20&delay=0.2")


def test_a_question_that_is_cut_off_before_its_answer_begins_is_asked_once(page: Any, proxy: Cutting) -> None:
    ask(page, proxy.address, "fake:first=2&text=Uno")
    page.wait_for_timeout(300)
    proxy.cut()

    shows_it_whole(page, "fake:first=2&text=Uno", "Uno")
    page.reload()
    shows_it_whole(page, "fake:first=2&text=Uno", "Uno")
