"""The completion options that operators may set; others never reach a provider. Plain Python."""

from __future__ import annotations

COMPLETION_OPTIONS = frozenset(
    {"temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty", "reasoning_effort", "verbosity"}
)
"""Parameters of OpenAI's own API."""
FURTHER_COMPLETION_OPTIONS = frozenset({"top_k", "min_p", "repetition_penalty", "chat_template_kwargs"})
"""Parameters of OpenAI-compatible services, such as vLLM, that OpenAI does not have."""
