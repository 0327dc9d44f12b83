"""Thoughts that a model writes into the text of its answer: `<think>...</think>` or `<thinking>...</thinking>`.

They count only at the very beginning; a later mention of a tag is text. The templates of some models write the opening
tag themselves, so that only its end is in the text: then the end tag counts on a line of its own, once, and only if no
opening tag comes before it. Within fenced code (`wire.fences`) a tag is an example of one. Models and servers that
write such tags:
https://docs.vllm.ai/en/latest/features/reasoning_outputs.html
"""

from __future__ import annotations

import re

from waldur_chat.wire import fences

OPENINGS = ("<think>", "<thinking>")
ENDINGS = ("</think>", "</thinking>")

OPENING = re.compile(r"<think(?:ing)?>")
END_LINE = re.compile(r"(?:\A|(?<=\n))</think(?:ing)?>[ \t]*(?:\r?\n|\Z)")
_FENCE_OR_END = re.compile(rf"(?:\A|(?<=\n))(?P<fence> {{0,3}}(?:```|~~~)[^\r\n]*)|{END_LINE.pattern}")
_LEADING = re.compile(r"\s*<(think|thinking)>.*?(?:</\1>|\Z)\s*", re.DOTALL)
_WHITE_SPACE = re.compile(r"\s*")


def answer_start(text: str) -> int:
    """The number of characters before the answer: thoughts, and the white space after them; 0 without thoughts."""
    if "think" not in text:
        return 0
    start = 0
    while leading := _LEADING.match(text, start):
        start = leading.end()
    if start:
        return start
    end = _end_outside_code(text)
    if end is None or OPENING.search(text, 0, end.start()):
        return 0
    blank = _WHITE_SPACE.match(text, end.end())
    assert blank  # The pattern also matches the empty string.
    return blank.end()


def _end_outside_code(text: str) -> re.Match[str] | None:
    """The first end tag on a line of its own where no code fence is open."""
    fence = None
    for mark in _FENCE_OR_END.finditer(text):
        if mark["fence"]:
            fence = fences.after(fence, mark["fence"])
        elif fence is None:
            return mark
    return None


def without_thoughts(text: str) -> str:
    """The answer alone."""
    return text[answer_start(text) :]
