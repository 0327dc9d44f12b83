"""Fenced code on the page: the blocks that the server finds too, and none that reaches into the next message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.page.answers import END, words
from tests.acceptance.page.reader import Reader, expect, serving
from tests.unit.fences import each_case

if TYPE_CHECKING:
    from playwright.sync_api import Browser

BLOCKS = """async (text) => {
    const { parse } = await import("/static/waldur_chat/markdown/blocks.js");
    const blocks = [];
    for (const { kind, language, text: code, source, isClosed } of parse(text.split("\\n"), false)) {
        if (kind === "code") blocks.push({ tag: language, code, isClosed });
        else if (typeof blocks.at(-1) === "string") blocks.push(`${blocks.pop()}\\n${source}`);
        else blocks.push(source);
    }
    return blocks;
}"""


@pytest.fixture(scope="module")
def opened(chromium: Browser) -> Iterator[Reader]:
    """One page for all who only try its modules."""
    with serving() as server:
        yield Reader(page=chromium.new_page(), server=server).open()


@each_case
def test_a_message_has_the_blocks_of_the_server(opened: Reader, case: dict[str, Any]) -> None:
    blocks = opened.page.evaluate(BLOCKS, case["text"])
    are_closed = [block.pop("isClosed") for block in blocks if isinstance(block, dict)]
    assert blocks == case["blocks"]
    assert all(are_closed) == ("open" not in case)


@pytest.mark.parametrize("case", ["reloaded", "asked again", "edited"])
def test_code_that_an_answer_leaves_open_ends_with_it(keeper: Reader, case: str) -> None:
    thread = keeper.kept.thread("Spain", "One?", "Look:\n```py\nopen", "Two?", "# Dos")
    keeper.open_kept(thread.uuid)
    if case == "asked again":
        keeper.server.answer(words("# Tres", END))
        keeper.button("Answer again").click()
    if case == "edited":
        keeper.server.answer(words("# Tres", END))
        keeper.button("Edit").click()
        keeper.page.get_by_role("textbox", name="Edited question").fill("```\n# Three?")
        keeper.button("Ask again").click()

    expect(keeper.answer.locator("h3")).to_have_text("Dos" if case == "reloaded" else "Tres")
    expect(keeper.log.locator(".code")).to_have_count(1)
    expect(keeper.log.locator(".code code")).to_have_text("open")
