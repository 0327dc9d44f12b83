"""An append-only text that is read while it grows."""

from __future__ import annotations

FRESH_PIECES = 32


class TextBuffer:
    """A text that grows at its end. One thread adds, any thread reads.

    Pieces are kept as they came, a few of them, and then merged with what came before as that doubles: so there are
    few pieces however long the text becomes, and none is copied often.
    """

    __slots__ = ("_fresh", "_pieces", "length")

    def __init__(self) -> None:
        self.length = 0
        """Characters that were added."""
        self._fresh: list[str] = []
        self._pieces: tuple[tuple[tuple[int, str], ...], int, list[str]] = ((), 0, self._fresh)
        """The merged pieces; where the fresh ones begin, and these: in one value, since others read at any moment."""

    def add(self, text: str) -> None:
        """Add to its end."""
        self._fresh.append(text)
        self.length += len(text)
        if len(self._fresh) == FRESH_PIECES:
            self._merge()

    def since(self, position: int) -> str:
        """All that comes after this many characters."""
        merged, begin, fresh = self._pieces
        text = "".join(fresh)
        for start, before in reversed(merged):
            if begin <= position:
                break
            begin, text = start, before + text
        return text[position - begin :]

    def _merge(self) -> None:
        merged, start, fresh = self._pieces
        text, kept = "".join(fresh), len(merged)
        while kept and len(merged[kept - 1][1]) <= len(text):
            kept -= 1
            start, before = merged[kept]
            text = before + text
        self._fresh = []
        self._pieces = ((*merged[:kept], (start, text)), self.length, self._fresh)
