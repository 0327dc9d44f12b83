"""Fast path: match chunks of a stream against a byte template that was inferred from an earlier chunk.

As a rule the chunks of a stream differ only in their text. The bytes before and after it are inferred from one chunk,
and checked by parsing a chunk that is composed of them. Between a match of both there can only be the content of a JSON
string, since a quotation mark within a string is escaped.

A text with a line feed or a `<` in it is left to the parser where one chunk is matched alone: it may be part of a tag
around thoughts (see `dialects.leading_thoughts`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from waldur_chat.errors import ProviderError
from waldur_chat.events import Delta, Reasoning
from waldur_chat.providers.dialects.chunks import Chunk

END = b"\n\n"
"""The end of an event, as most services write it. Streams with other line ends are parsed event by event."""

_INSIDE = re.compile(rb'[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*')
_TEXT = re.compile(rb'"(?:content|reasoning|reasoning_content|text)": ?"(?!")(%b)"' % _INSIDE.pattern)
_NEEDS_JSON = re.compile(rb'["\\\x00-\x1f]')
_NEEDS_PARSER = re.compile(rb'["\\\x00-\x1f<]')
_FIELD = b"data:"
_PROOF = "proof"


class ChunkTemplate:
    """What chunks of one shape have in common: the bytes before and after their text, and the class of their event.

    `reasoning_key` is the field of their thoughts, see `Chunk`.
    """

    def __init__(
        self, before: bytes, after: bytes, kind: type[Delta] | type[Reasoning], reasoning_key: str = ""
    ) -> None:
        self.before = before
        self.reasoning_key = reasoning_key
        self._after = after
        self._between = after + before
        self._kind = kind

    def match_one(self, data: bytes) -> Delta | Reasoning | None:
        """The event, if the data is exactly one chunk of this shape without escapes and `<` in its text; else None."""
        if data.startswith(self.before) and data.endswith(self._after):
            text = data[len(self.before) : -len(self._after)]
            if text and not _NEEDS_PARSER.search(text):
                try:
                    return self._kind(text=text.decode())
                except UnicodeDecodeError:
                    pass
        return None

    def match_many(self, data: bytes) -> tuple[Delta | Reasoning, bytes] | None:
        """One event for all chunks of this shape at the start of the data, and the remaining data; None without any."""
        if not data.startswith(self.before):
            return None
        texts: list[bytes] = []
        # Local names, since this loop runs once for every token.
        begin, between, find, is_at = len(self.before), self._between, data.find, data.startswith
        while True:
            end = find(b'"', begin)
            if data[end - 1 : end] == b"\\":  # An escaped quotation mark within the text.
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
        """Whether data without a whole chunk of this shape may be the start of one."""
        return rest.startswith(self.before) or self.before.startswith(rest)


def infer(data: bytes, read: Callable[[bytes], Chunk]) -> ChunkTemplate | None:
    """Infer the template from one whole event; None if the event has no text, or something else beside it.

    `read` parses the data of an event.
    """
    match = _TEXT.search(data)
    if not (match and data.startswith(_FIELD) and data.endswith(END)) or b"\r" in data or b"\n" in data[: -len(END)]:
        return None
    before, after = data[: match.start(1)], data[match.end(1) :]
    try:
        proof = read((before + _PROOF.encode() + after)[len(_FIELD) :])
    except ProviderError:
        return None
    # A chunk with anything else, as usage or a finish reason, must not be skipped.
    kinds = (kind for kind in (Delta, Reasoning) if proof == Chunk(new=[kind(text=_PROOF)]))
    return next((ChunkTemplate(before, after, kind, proof.reasoning_key) for kind in kinds), None)


def _end_of_string(data: bytes, begin: int) -> int:
    inside = _INSIDE.match(data, begin)
    assert inside  # The pattern also matches the empty string.
    return inside.end()


def _decoded(texts: list[bytes]) -> str | None:
    """The text of JSON strings with these contents; None if one of them is not valid within a string."""
    try:
        whole = b"".join(texts)
        if not _NEEDS_JSON.search(whole):
            return whole.decode()
        strings: list[str] = json.loads(b'["' + b'","'.join(texts) + b'"]')
    except (ValueError, RecursionError):
        return None
    return "".join(strings) if len(strings) == len(texts) else None
