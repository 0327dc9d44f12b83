"""Fast path: match chunks of a stream against a byte template that was inferred from an earlier chunk.

The chunks of a stream differ in nothing but their text, as a rule. What stands before and after the text is inferred
from one chunk, and proved by reading a chunk that is made of it. Between two such ends there can be nothing but the
inside of a JSON string, since quotation marks within a string are escaped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from waldur_chat.errors import ProviderFailed
from waldur_chat.events import Delta, ProviderEvent, Reasoning

END = b"\n\n"
"""Of an event, as most services write it; the streams of others are read event by event."""

_INSIDE = re.compile(rb'[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*')
_TEXT = re.compile(rb'"(?:content|reasoning|reasoning_content)": ?"(?!")(%b)"' % _INSIDE.pattern)
_NEEDS_JSON = re.compile(rb'["\\\x00-\x1f]')
_FIELD = b"data:"
_PROOF = "proof"


class ChunkTemplate:
    """What all chunks of one shape share: the bytes before and after their text, and the kind of event they mean."""

    def __init__(self, before: bytes, after: bytes, kind: type[Delta] | type[Reasoning]) -> None:
        self.before = before
        self._after = after
        self._between = after + before
        self._kind = kind

    def match_one(self, data: bytes) -> Delta | Reasoning | None:
        """The event of data that is exactly one chunk of this shape, with a text that is not escaped; else None."""
        if data.startswith(self.before) and data.endswith(self._after):
            text = data[len(self.before) : -len(self._after)]
            if text and not _NEEDS_JSON.search(text):
                try:
                    return self._kind(text=text.decode())
                except UnicodeDecodeError:
                    pass
        return None

    def match_many(self, data: bytes) -> tuple[Delta | Reasoning, bytes] | None:
        """One event for all the chunks of this shape that the data begins with, and the rest of the data.

        None where it begins with no such chunk.
        """
        if not data.startswith(self.before):
            return None
        texts: list[bytes] = []
        begin, between, find, is_at = len(self.before), self._between, data.find, data.startswith
        while True:
            end = find(b'"', begin)
            if data[end - 1 : end] == b"\\":  # It is a quotation mark within the text.
                end = _end_of_string(data, begin)
            if not is_at(between, end):
                break
            texts.append(data[begin:end])
            begin = end + len(between)
        if is_at(self._after, end):
            texts.append(data[begin:end])
            begin = end + len(between)
        text = _decoded(texts) if texts else None
        return None if text is None else (self._kind(text=text), data[begin - len(self.before) :])

    def may_start(self, rest: bytes) -> bool:
        """Whether data that holds no whole chunk of this shape may be the start of one."""
        return rest.startswith(self.before) or self.before.startswith(rest)


def infer(data: bytes, read: Callable[[bytes], list[ProviderEvent]]) -> ChunkTemplate | None:
    """The template of a whole event; None where it has no text, or more than that.

    `read` says what the data of an event means.
    """
    match = _TEXT.search(data)
    if not (match and data.startswith(_FIELD) and data.endswith(END)) or b"\r" in data or b"\n" in data[: -len(END)]:
        return None
    before, after = data[: match.start(1)], data[match.end(1) :]
    try:
        proof = read((before + _PROOF.encode() + after)[len(_FIELD) :])
    except ProviderFailed:
        return None
    kinds = (kind for kind in (Delta, Reasoning) if proof == [kind(text=_PROOF)])
    return next((ChunkTemplate(before, after, kind) for kind in kinds), None)


def _end_of_string(data: bytes, begin: int) -> int:
    inside = _INSIDE.match(data, begin)
    assert inside  # It matches nothing, too.
    return inside.end()


def _decoded(texts: list[bytes]) -> str | None:
    """The text of JSON strings whose insides these are; None where one is the inside of none."""
    try:
        whole = b"".join(texts)
        if not _NEEDS_JSON.search(whole):
            return whole.decode()
        strings: list[str] = json.loads(b'["' + b'","'.join(texts) + b'"]')
    except (ValueError, RecursionError):
        return None
    return "".join(strings) if len(strings) == len(texts) else None
