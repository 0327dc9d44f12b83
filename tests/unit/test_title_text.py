"""A title is what a model means by its answer, without what it puts around it."""

from __future__ import annotations

import pytest

from waldur_chat.turns.titles import cleaned

SURROUNDED = [
    "**Title:** A greeting",
    "**Title**: A greeting",
    "**Title: A greeting**",
    "Title: A greeting",
    "Title: **A greeting**",
    'title: "A greeting"',
    "Titel: A greeting",
    "标题\uff1aA greeting",
    "# A greeting",
    "# Title\nA greeting",
    "Title:\n\nA greeting",
    "Sure! Here is a title:\n\n**A greeting**",
    "**A greeting**",
    "_A greeting_",
    "`A greeting`",
    "```\nA greeting\n```",
    "```text\nA greeting\n```",
    "- A greeting",
    "“A greeting”",
    "«A greeting»",
    "'A greeting'",
    "**A greeting",
    'A greeting"',
    "\n\nA greeting\nIt is short.",
]

MEANT = [
    "Learning C#",
    "__init__",
    "Using __init__ in Python",
    "*args in Python",
    "*args and **kwargs in Python",
    '"A" and "B"',
    "**Bold** moves",
    "`foo` in Python",
    "The users'",
    "Title IX: a history",
    "Ends with a colon:",
    "#1 reason",
]


@pytest.mark.parametrize("text", SURROUNDED)
def test_what_surrounds_a_title_is_removed(text: str) -> None:
    assert cleaned(text) == "A greeting"


@pytest.mark.parametrize("text", MEANT)
def test_what_belongs_to_a_title_stays(text: str) -> None:
    assert cleaned(text) == text


@pytest.mark.parametrize("text", ["", " \n", "Title:", "```", "<think>Hm.</think>"])
def test_nothing_is_no_title(text: str) -> None:
    assert cleaned(text) == ""
