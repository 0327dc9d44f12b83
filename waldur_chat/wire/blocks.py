"""Split an answer into blocks (markdown, code, mermaid), independent of where its deltas are cut.

Fences are those of `wire.fences`, but only at the start of a line: fences in block quotes, or with more than three
spaces before them, are part of the markdown around them. The encoders decide what a block looks like in a stream; here
are values, and the dicts that are stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import IncrementalNewlineDecoder, StringIO
from itertools import chain
from typing import Any, Literal

from waldur_chat.wire.fences import Fence, opened_by

FenceKey = Literal["code", "mermaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Markdown:
    """The next text of a markdown block; never empty."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A fence was opened. The next value is its `Whole`."""

    key: FenceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A complete fenced block: its text without the fences and without the line end before the closing one.

    `tag` is the first word of the info string; empty without one, and for mermaid.
    """

    key: FenceKey
    tag: str
    text: str


Piece = Markdown | Announced | Whole

_MAY_OPEN = re.compile(r" {0,3}(?:`{0,2}|~{0,2}|`{3,}[^`]*|~{3,}.*)")


class BlockParser:
    """Parses the deltas of one answer.

    It holds back only the start of a line that may still open a fence, the content of a fence, and a carriage return
    that a line feed may follow. The line end after a closing fence is dropped; all others are kept.
    """

    def __init__(self) -> None:
        self._line_ends = IncrementalNewlineDecoder(None, translate=False)
        self._held: list[str] = []
        self._start: str | None = ""
        self._fence: _FencedBlock | None = None

    def feed(self, delta: str) -> list[Piece]:
        """Parse the next delta, and return what is certain now."""
        return [*merge(self._read(self._line_ends.decode(delta)))]

    def finish(self) -> list[Piece]:
        """Return what is held back, at the end of the answer. An unclosed fence contains all of the rest."""
        last = self._read(self._line_ends.decode("", final=True))
        return [*merge(chain(last, self._read_rest()))]

    def _read(self, text: str) -> Iterator[Piece]:
        for part in StringIO(text, newline=""):
            yield from self._take(part)

    def _take(self, part: str) -> Iterator[Piece]:
        """Parse a part of one line. The last part has the line end."""
        self._held.append(part)
        ended = part.endswith(("\r", "\n"))
        if not self._fence and not self._may_open(part):
            yield Markdown(text=self._release())
        elif ended:
            yield from self._end_line(self._release())
        if ended:
            self._start = ""

    def _may_open(self, part: str) -> bool:
        """Whether the line may open a fence. `_start` has its earlier parts; None once it certainly opens none."""
        if self._start is None:
            return False
        line = self._start + _without_end(part)
        self._start = _shorten(line) if _MAY_OPEN.fullmatch(line) else None
        return self._start is not None

    def _end_line(self, line: str) -> Iterator[Piece]:
        if self._fence:
            yield from self._take_content(self._fence, line)
        elif fence := opened_by(_without_end(line)):
            self._fence = _FencedBlock(fence)
            yield Announced(key=self._fence.key)
        else:
            yield Markdown(text=line)

    def _take_content(self, fence: _FencedBlock, line: str) -> Iterator[Piece]:
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


class _FencedBlock:
    """An open fence, and the lines in it."""

    def __init__(self, fence: Fence) -> None:
        word = next(iter(fence.info.split()), "")
        self.key: FenceKey = "mermaid" if word.lower() == "mermaid" else "code"
        self.closed = False
        self._tag = word if self.key == "code" else ""
        self._fence = fence
        self._lines: list[str] = []

    def take(self, line: str) -> None:
        """Add a line, without the indentation of the opener, or close the fence if the line does."""
        indent = len(self._fence.indent)
        if self._fence.is_closed_by(_without_end(line)):
            self.closed = True
        else:
            self._lines.append(line[:indent].lstrip(" ") + line[indent:])

    def whole(self) -> Whole:
        if self.closed:
            self._lines[-1:] = map(_without_end, self._lines[-1:])
        return Whole(key=self.key, tag=self._tag, text="".join(self._lines))


def merge(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The same values, with consecutive `Markdown` merged into one."""
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, Markdown):
            texts.append(piece.text)
            continue
        yield from _joined(texts)
        texts.clear()
        yield piece
    yield from _joined(texts)


def split_into_blocks(text: str, inserted: Iterable[tuple[int, dict[str, Any]]] = ()) -> list[dict[str, Any]]:
    """The blocks of a complete answer, as they are stored and served. Ids count from "0".

    Each has `id`, `key`, `status` and `content`, a code block also a `tag`. Blank markdown is omitted. Blocks are
    `inserted` at their positions in the text, in ascending order; within a fence they come before it.
    """
    parser = BlockParser()
    contents: list[dict[str, Any]] = []
    written = 0
    for position, block in inserted:
        contents += _contents(parser.feed(text[written:position]))
        contents.append(block)
        written = max(written, position)
    contents += _contents([*parser.feed(text[written:]), *parser.finish()])
    return [{"id": str(number), "status": "complete", **content} for number, content in enumerate(contents)]


def _contents(pieces: Iterable[Piece]) -> list[dict[str, Any]]:
    return [content for piece in merge(pieces) if (content := _content(piece))]


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
    """The part of a possible opener that decides how it may continue: its first three marks, and the last character.

    At most seven characters, so that a long line in small deltas is not read again for each delta.
    """
    return line if len(line) <= len("   ```") else line[: len("   ```")] + line[-1]


def _without_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
