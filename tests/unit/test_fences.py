"""Fences of code: what opens and closes one, in every place of the package that asks."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.fences import each_case
from waldur_chat.wire.blocks import split_into_blocks
from waldur_chat.wire.fences import closed
from waldur_chat.wire.thoughts import without_thoughts


def blocks_of(text: str) -> list[Any]:
    """The blocks of an answer, as the cases have them."""
    return [
        {"tag": block["tag"], "code": block["content"]} if block["key"] == "code" else block["content"].rstrip("\n")
        for block in split_into_blocks(text)
    ]


@each_case
def test_an_answer_has_these_blocks(case: dict[str, Any]) -> None:
    assert blocks_of(case["text"]) == case["blocks"]


@each_case
def test_what_is_open_is_closed_and_nothing_else(case: dict[str, Any]) -> None:
    text, mark = case["text"], case.get("open")
    assert closed(text) == (text.removesuffix("\n") + f"\n{mark}" if mark else text)
    assert blocks_of(f"{closed(text)}\nlater")[-1].endswith("later")


@each_case
def test_a_tag_in_code_ends_no_thoughts(case: dict[str, Any]) -> None:
    tag = "\n</think>\n"
    written = f"{case['text']}{tag}later"
    assert without_thoughts(written) == (written if case.get("open") else "later")


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_lines_end_as_in_commonmark(line_end: str) -> None:
    text = line_end.join(["a", "  ```", "b"])
    assert closed(text) == f"{text}\n  ```"
    assert closed(text + line_end) == f"{text}{line_end}  ```"
    assert closed(closed(text)) == closed(text)
