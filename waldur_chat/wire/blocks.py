"""Cuts an answer into blocks (markdown, code, mermaid), however its deltas are cut.

Fences are those of CommonMark 0.31.2, section 4.5, but only where they stand at the beginning of a line: those in
block quotes, or deeper than three spaces, stay in the markdown around them. What a block looks like to a client is
said elsewhere; here are values only, and the dicts that are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import IncrementalNewlineDecoder, StringIO
from itertools import chain
from typing import Literal

FenceKey = Literal["code", "mermaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Markdown:
    """The next piece of a markdown block; never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A fence has been opened; its `Whole` follows, with nothing in between."""

    key: FenceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole fenced block: its text without fences and without the line end before the closing one.

    `tag` is the first word of the info string; empty where there is none, and for mermaid.
    """

    key: FenceKey
    tag: str
    text: str


Piece = Markdown | Announced | Whole

_MAY_OPEN = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|`{3,}[^`]*|~{3,}.*)")
_OPENER = re.compile(r"(?P<indent> *)(?P<run>`{3,}|~{3,})(?P<info>.*)")
_CLOSER = re.compile(r" {0,3}(?P<run>`{3,}|~{3,})[ \t]*")


class BlockParser:
    """Takes the deltas of one answer and gives its pieces.

    Held back are only the beginning of a line that may still open a fence, what stands in a fence, and a carriage
    return whose line feed may follow. The line end after a closing fence belongs to nobody; all others are kept.
    """

    def __init__(self) -> None:
        self._line_ends = IncrementalNewlineDecoder(None, translate=False)
        self._held: list[str] = []
        self._start: str | None = ""
        self._fence: _Fence | None = None

    def feed(self, delta: str) -> list[Piece]:
        """Take the next delta; give what is certain now."""
        return [*merge(self._read(self._line_ends.decode(delta)))]

    def finish(self) -> list[Piece]:
        """Give what is held back, now that the answer has ended. A fence that nobody closed holds all of the rest."""
        last = self._read(self._line_ends.decode("", final=True))
        return [*merge(chain(last, self._read_rest()))]

    def _read(self, text: str) -> Iterator[Piece]:
        for part in StringIO(text, newline=""):
            yield from self._take(part)

    def _take(self, part: str) -> Iterator[Piece]:
        """Take a part of one line; the last part has the line's end."""
        self._held.append(part)
        ended = part.endswith(("\r", "\n"))
        if not self._fence and not self._may_open(part):
            yield Markdown(text=self._release())
        elif ended:
            yield from self._end_line(self._release())
        if ended:
            self._start = ""

    def _may_open(self, part: str) -> bool:
        """Whether the line, with this part, may open a fence; what was said of its earlier parts is in `_start`."""
        if self._start is None:
            return False
        line = self._start + _without_end(part)
        self._start = _shorten(line) if _MAY_OPEN.fullmatch(line) else None
        return self._start is not None

    def _end_line(self, line: str) -> Iterator[Piece]:
        if self._fence:
            yield from self._take_content(self._fence, line)
        elif opener := _OPENER.fullmatch(_without_end(line)):
            self._fence = _Fence(**opener.groupdict())
            yield Announced(key=self._fence.key)
        else:
            yield Markdown(text=line)

    def _take_content(self, fence: _Fence, line: str) -> Iterator[Piece]:
        fence.take(line)
        if fence.closed:
            self._fence = None
            yield fence.whole()

    def _read_rest(self) -> Iterator[Piece]:
        rest = self._release()
        if self._fence:
            self._fence.take(rest)
            yield self._fence.whole()
        elif rest:
            yield Markdown(text=rest)

    def _release(self) -> str:
        text = "".join(self._held)
        self._held.clear()
        return text


class _Fence:
    """A fence that has been opened, and the lines in it."""

    def __init__(self, *, indent: str, run: str, info: str) -> None:
        word = next(iter(info.split()), "")
        self.key: FenceKey = "mermaid" if word.lower() == "mermaid" else "code"
        self.closed = False
        self._tag = word if self.key == "code" else ""
        self._indent = len(indent)
        self._run = run
        self._lines: list[str] = []

    def take(self, line: str) -> None:
        """Keep a line, less as many spaces as the opener has before it; or be closed by it."""
        closer = _CLOSER.fullmatch(_without_end(line))
        if closer and closer["run"].startswith(self._run):
            self.closed = True
        else:
            self._lines.append(line[: self._indent].lstrip(" ") + line[self._indent :])

    def whole(self) -> Whole:
        if self.closed:
            self._lines[-1:] = map(_without_end, self._lines[-1:])
        return Whole(key=self.key, tag=self._tag, text="".join(self._lines))


def merge(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same pieces, those of markdown that follow one another made one."""
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, Markdown):
            texts.append(piece.text)
            continue
        yield from _joined(texts)
        texts.clear()
        yield piece
    yield from _joined(texts)


def split_into_blocks(text: str) -> list[dict[str, str]]:
    """The blocks of a whole answer, as they are stored and served, with ids counted from "0".

    Each has `id`, `key`, `status` and `content`, those of code a `tag` too. Markdown of nothing but space is left out.
    """
    parser = BlockParser()
    pieces = merge([*parser.feed(text), *parser.finish()])
    contents = [content for piece in pieces if (content := _content(piece))]
    return [{"id": str(number), "status": "complete", **content} for number, content in enumerate(contents)]


def _content(piece: Piece) -> dict[str, str] | None:
    match piece:
        case Markdown(text=text) if text.strip():
            return {"key": "markdown", "content": text}
        case Whole(key="code", tag=tag, text=text):
            return {"key": "code", "tag": tag, "content": text}
        case Whole(key="mermaid", text=text):
            return {"key": "mermaid", "content": text}
        case _:
            return None


def _joined(texts: list[str]) -> Iterator[Markdown]:
    if texts:
        yield Markdown(text="".join(texts))


def _shorten(line: str) -> str:
    """As much of an opener as tells how it may go on: its first three marks, and whether their run goes on.

    At most seven characters, so that a long line in small deltas is not read again with each.
    """
    return line if len(line) <= len("   ```") else line[: len("   ```")] + line[-1]


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
