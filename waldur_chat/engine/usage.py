"""Counts the tokens of one turn: the providers' reports over all attempts, and an estimate of what is missing."""

from __future__ import annotations

from math import ceil

from waldur_chat.events import Usage
from waldur_chat.messages import Prompt
from waldur_chat.text_size import TextSize, measured, size_of, tokens_in

MAX_BYTES_PER_TOKEN = 128
"""More text than this in each token cannot be: the longest tokens of vocabularies, runs of spaces, have as much."""


class UsageCounter:
    """The usage of a turn: the largest counts that each attempt has reported, added over all attempts.

    A count that is too small for the text, such as zero, means that it was not reported. Sums stay within what can be
    stored.
    """

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._is_attempted = False
        self._earlier_attempts: Usage | None = None
        self._reported: Usage | None = None
        self._reported_bytes = 0
        self._unreported_bytes = 0

    def start_attempt(self, prompt: Prompt | None = None) -> None:
        """Start counting an attempt, with this prompt if it is another one.

        Unreported usage of earlier ones is not charged: they had no answer.
        """
        self._prompt = prompt or self._prompt
        self._earlier_attempts, self._reported = _sum(self._earlier_attempts, self._reported), None
        self._reported_bytes, self._unreported_bytes, self._is_attempted = 0, 0, True

    def end_round(self) -> None:
        """Keep what the answer of this attempt used, since the turn goes on with another request."""
        self._earlier_attempts, self._reported = self.total(complete=True), None
        self._reported_bytes, self._unreported_bytes, self._is_attempted = 0, 0, False

    def discard_attempt(self) -> None:
        """Mark the current attempt as failed before its answer."""
        self._is_attempted = False

    def report(self, usage: Usage) -> None:
        """Take a report of the provider. A smaller count than an earlier one cannot be true, and changes nothing."""
        known = self._reported or Usage(input_tokens=0, output_tokens=0)
        if usage.output_tokens > known.output_tokens:
            self._reported_bytes, self._unreported_bytes = self._reported_bytes + self._unreported_bytes, 0
        self._reported = Usage(
            input_tokens=max(known.input_tokens, usage.input_tokens),
            output_tokens=max(known.output_tokens, usage.output_tokens),
            estimated=usage.estimated,
        ).bounded()

    def add_output(self, text: str) -> None:
        """Count output of the provider since its last report."""
        # Inlined from size_of(), since this runs for each delta.
        self._unreported_bytes += len(text) if text.isascii() else size_of(text)

    @property
    def output_tokens(self) -> int:
        """Output tokens of this attempt so far; estimated since the last report."""
        return (self._reported.output_tokens if self._reported else 0) + tokens_in(self._unreported_bytes)

    def likely_tokens(self, input_tokens: int, bytes_per_token: float) -> int:
        """Tokens of the turn so far: as reported, or so many for the prompt and for what was written since a report."""
        earlier, reported = self._earlier_attempts, self._reported
        tokens = (reported and reported.input_tokens) or input_tokens
        tokens += reported.output_tokens if reported else 0
        if earlier:
            tokens += earlier.input_tokens + earlier.output_tokens
        return tokens + ceil(self._unreported_bytes / bytes_per_token)

    @property
    def reported_prompt(self) -> tuple[TextSize, int] | None:
        """The size of the prompt and the tokens that the provider has reported for it, if it has."""
        if self._reported is None or not _can_be(self._reported.input_tokens, self._prompt_bytes()):
            return None
        return measured(self._prompt.counted), self._reported.input_tokens

    @property
    def reported_answer(self) -> tuple[int, int] | None:
        """The bytes of this attempt's answer and the tokens that the provider has reported for them, if it has."""
        if self._reported is None or not self._reported_bytes:
            return None
        if not _can_be(self._reported.output_tokens, self._reported_bytes):
            return None
        return self._reported_bytes, self._reported.output_tokens

    def total(self, *, complete: bool = False) -> Usage | None:
        """Return the usage so far; None if nothing is known to have been used.

        With `complete`, the provider's stream has ended: its last report, if any, then covers everything.
        """
        current = self._with_estimate(complete) if self._is_attempted else self._reported
        return _sum(self._earlier_attempts, current)

    def _with_estimate(self, complete: bool) -> Usage:
        """The usage of the current attempt, with an estimate of either side that was not reported."""
        known = self._reported or Usage(input_tokens=0, output_tokens=0)
        input_tokens, output_tokens = self._input_tokens(known), self._output_tokens(known, complete)
        is_as_reported = (input_tokens, output_tokens) == (known.input_tokens, known.output_tokens)
        return Usage(
            input_tokens=input_tokens, output_tokens=output_tokens, estimated=known.estimated or not is_as_reported
        ).bounded()

    def _input_tokens(self, known: Usage) -> int:
        size = self._prompt_bytes()
        return known.input_tokens if _can_be(known.input_tokens, size) else tokens_in(size)

    def _output_tokens(self, known: Usage, complete: bool) -> int:
        size = self._reported_bytes + self._unreported_bytes
        if not _can_be(known.output_tokens, size if complete else self._reported_bytes):
            return tokens_in(size)
        is_covered = complete and known.output_tokens > 0
        return known.output_tokens + (0 if is_covered else tokens_in(self._unreported_bytes))

    def _prompt_bytes(self) -> int:
        return sum(size_of(message.counted_text) for message in self._prompt.counted)


def _can_be(tokens: int, size: int) -> bool:
    """Whether a text of so many bytes can have so few tokens."""
    return tokens * MAX_BYTES_PER_TOKEN >= size and (tokens > 0 or size == 0)


def _sum(one: Usage | None, other: Usage | None) -> Usage | None:
    if one is None or other is None:
        return one or other
    return Usage(
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        estimated=one.estimated or other.estimated,
    ).bounded()
