"""Counts the tokens of one turn: what providers report, over all attempts, and a guess at what they do not."""

from __future__ import annotations

from waldur_chat.events import Usage
from waldur_chat.messages import Prompt, size_of, tokens_in


class UsageCounter:
    """The usage of a turn. The reports of one attempt replace each other, those of several add up."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._is_attempted = False
        self._earlier_attempts: Usage | None = None
        self._reported: Usage | None = None
        self._unreported_bytes = 0

    def start_attempt(self) -> None:
        """An attempt begins. What an earlier one did not report, it did not charge: it failed before it answered."""
        self._earlier_attempts, self._reported, self._unreported_bytes, self._is_attempted = (
            _sum(self._earlier_attempts, self._reported),
            None,
            0,
            True,
        )

    def discard_attempt(self) -> None:
        """The attempt has failed before it answered."""
        self._is_attempted = False

    def report(self, usage: Usage) -> None:
        """The provider says what was used so far."""
        self._reported, self._unreported_bytes = usage, 0

    def add_output(self, text: str) -> None:
        """The provider has written this since its last report."""
        self._unreported_bytes += (
            len(text) if text.isascii() else size_of(text)
        )  # As it does; this is called for each word.

    @property
    def output_tokens(self) -> int:
        """The tokens of this attempt's answer so far; a guess from the last report on."""
        return (self._reported.output_tokens if self._reported else 0) + tokens_in(self._unreported_bytes)

    def total(self, *, complete: bool = False) -> Usage | None:
        """What was used so far; None where nothing was, as far as is known.

        A provider that has said everything, and reported at any time, has reported all.
        """
        is_known = not self._is_attempted or (complete and self._reported is not None)
        return _sum(self._earlier_attempts, self._reported if is_known else self._with_the_unreported())

    def _with_the_unreported(self) -> Usage:
        if self._reported is not None and not self._unreported_bytes:
            return self._reported
        asked = sum(size_of(message.text) for message in self._prompt.messages)
        known = self._reported or Usage(input_tokens=tokens_in(asked), output_tokens=0)
        return Usage(
            input_tokens=known.input_tokens,
            output_tokens=known.output_tokens + tokens_in(self._unreported_bytes),
            estimated=True,
        )


def _sum(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return one or other
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        estimated=one.estimated or other.estimated,
    )
