"""What an operator may choose of a completion; nothing else reaches a provider. Plain Python."""

from __future__ import annotations

# The second group is no parameter of OpenAI's own, but of services that speak its language.
COMPLETION_OPTIONS = frozenset(
    {"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty", "reasoning_effort", "verbosity"}
)
FURTHER_COMPLETION_OPTIONS = frozenset({"top_k", "min_p", "repetition_penalty", "chat_template_kwargs"})
