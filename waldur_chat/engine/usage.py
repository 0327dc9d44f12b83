"""Counts the tokens of one turn: the providers' reports over all attempts, and an estimate of what is missing."""

from __future__ import annotations

from waldur_chat.events import Usage
from waldur_chat.messages import Prompt, size_of, tokens_in


class UsageCounter:
    """The usage of a turn. Reports of one attempt replace each other; those of several attempts are added."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._is_attempted = False
        self._earlier_attempts: Usage | None = None
        self._reported: Usage | None = None
        self._unreported_bytes = 0

    def start_attempt(self) -> None:
        """Start counting an attempt. Unreported usage of earlier ones is not charged: they had no answer."""
        self._earlier_attempts, self._reported, self._unreported_bytes, self._is_attempted = (
            _sum(self._earlier_attempts, self._reported),
            None,
            0,
            True,
        )

    def discard_attempt(self) -> None:
        """Mark the current attempt as failed before its answer."""
        self._is_attempted = False

    def report(self, usage: Usage) -> None:
        """Replace the attempt's usage by a report of the provider."""
        self._reported, self._unreported_bytes = usage, 0

    def add_output(self, text: str) -> None:
        """Count output of the provider since its last report."""
        # Inlined from size_of(), since this runs for each delta.
        self._unreported_bytes += len(text) if text.isascii() else size_of(text)

    @property
    def output_tokens(self) -> int:
        """Output tokens of this attempt so far; estimated since the last report."""
        return (self._reported.output_tokens if self._reported else 0) + tokens_in(self._unreported_bytes)

    def total(self, *, complete: bool = False) -> Usage | None:
        """Return the usage so far; None if nothing is known to have been used.

        With `complete`, the provider's stream has ended: its last report, if any, then covers everything.
        """
        is_known = not self._is_attempted or (complete and self._reported is not None)
        return _sum(self._earlier_attempts, self._reported if is_known else self._with_estimate())

    def _with_estimate(self) -> Usage:
        if self._reported is not None and not self._unreported_bytes:
            return self._reported
        prompt_bytes = sum(size_of(message.text) for message in self._prompt.messages)
        known = self._reported or Usage(input_tokens=tokens_in(prompt_bytes), output_tokens=0)
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
