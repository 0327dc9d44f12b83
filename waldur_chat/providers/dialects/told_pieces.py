"""What an answer has told so far, so that whole messages that repeat it are not told again."""

from __future__ import annotations

from waldur_chat.providers.dialects.chunks import Chunk
from waldur_chat.providers.dialects.texts import Piece


class ToldPieces:
    """The pieces of one answer."""

    def __init__(self) -> None:
        self._kinds: set[type[Piece]] = set()
        """What came in pieces, so that a whole message repeats it."""
        self._messages: dict[type[Piece], list[str]] = {}

    def note(self, *pieces: Piece) -> None:
        """Note that these came as pieces."""
        self._kinds.update(map(type, pieces))

    def new_in_message(self, chunk: Chunk) -> list[Piece]:
        """The pieces of a message, without what came as deltas, or as messages before a last one that is whole."""
        new = [piece for piece in chunk.message if type(piece) not in self._kinds]
        new = [piece for piece in new if not self._is_whole(piece, is_last=bool(chunk.reason))]
        for piece in new:
            self._messages.setdefault(type(piece), []).append(piece.text)
        return new

    def _is_whole(self, piece: Piece, *, is_last: bool) -> bool:
        """Whether the piece repeats all earlier ones."""
        told = self._messages.get(type(piece), [])
        may_be = bool(told) and (is_last or len(told) > 1) and len(piece.text) == sum(map(len, told))
        return may_be and piece.text == "".join(told)
