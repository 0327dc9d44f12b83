"""Makes text encodable: a provider may cut a character outside the BMP into two JSON escapes, one in each piece."""

from __future__ import annotations


class SurrogateJoiner:
    """Joins surrogate halves across pieces of text; a half that stays alone becomes U+FFFD."""

    def __init__(self) -> None:
        self._high = ""

    def feed(self, piece: str) -> str:
        """The piece, with what an earlier one left in front, and without a half that may still find its other."""
        if piece.isascii() and not self._high:
            return piece
        text, self._high = self._high + piece, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._high = text[:-1], text[-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def flush(self) -> str:
        """What is left at the end of the text."""
        return "\ufffd" if self._high else ""
