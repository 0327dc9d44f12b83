"""The size of texts, and the tokens that they have about. Plain Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

BYTES_PER_TOKEN = 4
"""Bytes of UTF-8: within a third of the truth for most models and languages."""

MESSAGE_BYTES = 16
"""What the chat template of a model usually adds to a message, four tokens, in bytes of text."""

SYMBOLS = "0123456789!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\n\t"
"""Characters of which code, tables and numbers have many, and prose has few."""


class Counted(Protocol):
    """A message, of which the model reads this text."""

    @property
    def counted_text(self) -> str:
        """All that the model reads of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSize:
    """The size of a text, from which its tokens are estimated; `size` is that in bytes of UTF-8.

    `symbols` are those of the characters that are in `SYMBOLS`.
    """

    characters: int
    size: int
    symbols: int = 0
    messages: int = 1


def measured(messages: Sequence[Counted]) -> TextSize:
    """The size of these messages together."""
    texts = [message.counted_text for message in messages]
    return TextSize(
        characters=sum(map(len, texts)),
        size=sum(map(size_of, texts)),
        symbols=sum(text.count(symbol) for text in texts for symbol in SYMBOLS),
        messages=len(texts),
    )


def size_of(text: str) -> int:
    """Return the number of bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def total_size(messages: Iterable[Counted]) -> int:
    """Return the bytes of these messages, and of what a model's chat template adds to each of them."""
    return sum(size_of(message.counted_text) + MESSAGE_BYTES for message in messages)


def tokens_in(size: int) -> int:
    """Estimate the tokens in a text of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of this text."""
    return tokens_in(size_of(text))
