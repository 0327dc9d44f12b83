"""Fences of code, line by line, as in CommonMark 0.31.2, section 4.5.

The one home of these rules in Python; the chat page has them in `static/waldur_chat/markdown/blocks.js`, and one table
of cases tries both. Lines come without their ends. Each message is a document of its own: a fence that nothing closes
ends with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_OPENER = re.compile(r"(?P<indent> {0,3})(?P<run>`{3,}(?=[^`]*\Z)|~{3,})(?P<info>.*)", re.DOTALL)
_CLOSER = re.compile(r" {0,3}(?P<run>`{3,}|~{3,})[ \t]*")
_LINE = re.compile(r"(?:\A|(?<=[\r\n])) {0,3}(?:```|~~~)[^\r\n]*")
"""A line that may open or close a fence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """An open fence: the white space before it, its marks, and its info string."""

    indent: str
    run: str
    info: str

    def is_closed_by(self, line: str) -> bool:
        """Whether the line is at least as many of the same marks, and at most three spaces before them."""
        closer = _CLOSER.fullmatch(line)
        return closer is not None and closer["run"].startswith(self.run)


def opened_by(line: str) -> Fence | None:
    """The fence that this line opens."""
    opener = _OPENER.fullmatch(line)
    return Fence(**opener.groupdict()) if opener else None


def after(fence: Fence | None, line: str) -> Fence | None:
    """The fence that is open after this line, if `fence` was open before it."""
    if fence is None:
        return opened_by(line)
    return None if fence.is_closed_by(line) else fence


def closed(text: str) -> str:
    """The text, with a last line that closes its fence if one is open at its end."""
    fence: Fence | None = None
    for line in _LINE.finditer(text) if "```" in text or "~~~" in text else ():
        fence = after(fence, line.group())
    if fence is None:
        return text
    line_end = "" if text.endswith(("\r", "\n")) else "\n"
    return f"{text}{line_end}{fence.indent}{fence.run}"
