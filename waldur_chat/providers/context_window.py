"""How much a model takes in, as far as that is known, and prompts that fit into it. Plain Python.

The context window of a model holds the prompt and the answer. Its size is an option of the provider, or it is learnt
from the refusal of a prompt that was too long. Where the refusal does not name it, the length of that prompt is
remembered. How many tokens a text has is only estimated here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from waldur_chat.errors import ContextExceeded
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.shorter_data import data_size, with_data
from waldur_chat.text_size import BYTES_PER_TOKEN, total_size

SMALLEST_TOKENS = 256
"""No model's context is smaller, so a refusal that names less is not believed. Also the least room for an answer."""

LEARNT_SECONDS = 3600.0
"""How long what was learnt is used: a service may be started again with another model or a larger context."""

FIRST_MARGIN = 1.2
"""Tokens are estimated with this margin. If they are underestimated, the service refuses, and is asked again."""

SECOND_MARGIN = 2.4
"""The margin of the second request, which is the last: two bytes per token, as many languages and code have."""

PROVEN_MARGIN = 1.5
"""The margin of the second request over the number of tokens that the refusal proves."""

UNKNOWN_HISTORY = 8 * 1024
"""The most bytes of history in the second request where the size is not known: what the smallest models take in."""


UNKNOWN_DATA = 8 * 1024
"""The same for results of tools and context."""


class _Learnt:
    """A number, for `LEARNT_SECONDS`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._number: int | None = None
        self._until = 0.0

    @property
    def number(self) -> int | None:
        return self._number if self._clock() < self._until else None

    def learn(self, number: int) -> None:
        self._number, self._until = number, self._clock() + LEARNT_SECONDS


class ContextWindow:
    """The context of one provider's model. The clock returns seconds."""

    def __init__(self, provider: Provider, clock: Callable[[], float] = time.monotonic) -> None:
        self._provider = provider
        self._named_tokens = _Learnt(clock)
        self._refused_size = _Learnt(clock)

    @property
    def tokens(self) -> int | None:
        """The size of the context: the option, or less if a refusal said so; None if it is not known."""
        known = (self._provider.context_tokens, self._named_tokens.number)
        return min((size for size in known if size is not None), default=None)

    def fit(self, prompt: Prompt) -> Prompt:
        """The prompt with as much history and data, and as much room for its answer, as the context is known to have.

        Data are results of tools and the site's context; older messages are left out before these are cut.
        """
        tokens, refused = self.tokens, self._refused_size.number
        if tokens is not None:
            return self._fitted(prompt, tokens, FIRST_MARGIN / BYTES_PER_TOKEN)
        if refused is not None and total_size(prompt.counted) >= refused:
            return _within(prompt, refused * 3 // 4)
        return prompt

    def fit_after(self, prompt: Prompt, refusal: ContextExceeded) -> Prompt | None:
        """Learn from the refusal of this prompt; return a shorter one to ask again with, None if there is none."""
        self._learn(prompt, refusal)
        tokens, shorter = self.tokens, prompt
        if tokens is not None:
            shorter = self._fitted(prompt, tokens, self._refused_tokens_per_byte(prompt, tokens))
        if shorter == prompt:  # Where the size is not known, or does not say how much is too much.
            shorter = prompt.with_history(min(total_size(prompt.history) // 2, UNKNOWN_HISTORY))
            shorter = with_data(shorter, min(data_size(shorter) // 2, UNKNOWN_DATA))
        return None if shorter == prompt else shorter

    def _learn(self, prompt: Prompt, refusal: ContextExceeded) -> None:
        """Keep the size that the refusal names, if it can be true: a tokenizer produces at most a token per byte."""
        named, size = refusal.context_tokens, total_size(prompt.counted)
        if named is not None and SMALLEST_TOKENS <= named < size + (self._output(prompt) or 0):
            self._named_tokens.learn(named)
        elif prompt.history or data_size(prompt):  # A question that is too long by itself says little about others.
            self._refused_size.learn(size)

    def _refused_tokens_per_byte(self, prompt: Prompt, size: int) -> float:
        """An estimate for a prompt that was refused: it has more tokens than what its answer leaves of the context."""
        proven = (size - (self._output(prompt) or 0)) / total_size(prompt.counted)
        return min(1.0, max(SECOND_MARGIN / BYTES_PER_TOKEN, PROVEN_MARGIN * proven))

    def _fitted(self, prompt: Prompt, size: int, tokens_per_byte: float) -> Prompt:
        """Shorten the history. The answer keeps its limit, but not more than half of the context."""
        limit = self._output(prompt)
        output = size // 4 if limit is None else limit
        if total_size(prompt.counted) * tokens_per_byte + output <= size:
            return prompt
        output = min(output, size // 2)
        shorter = _within(prompt, int((size - output) / tokens_per_byte))
        left = size - int(total_size(shorter.counted) * tokens_per_byte)
        output = max(min(output, left), min(output, SMALLEST_TOKENS))
        return shorter if limit is None or output == limit else replace(shorter, max_output_tokens=output)

    def _output(self, prompt: Prompt) -> int | None:
        """The most tokens that the answer to this prompt can have; None if no limit is known."""
        limits = (self._provider.max_output_tokens, prompt.max_output_tokens)
        return min((limit for limit in limits if limit is not None), default=None)


def _within(prompt: Prompt, size: int) -> Prompt:
    """The prompt with as much of its history as has at most this size; without any, with as much of its data."""
    shorter = prompt.with_history(size - _fixed_size(prompt))
    missing = total_size(shorter.counted) - size
    return shorter if missing <= 0 else with_data(shorter, data_size(shorter) - missing)


def _fixed_size(prompt: Prompt) -> int:
    """The size of what always stays: the system prompt, the question and what follows it, and the tools."""
    return total_size(prompt.counted) - total_size(prompt.history)
