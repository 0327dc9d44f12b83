"""The words of services for the end of an answer, in one table.

Sources: https://platform.openai.com/docs/api-reference/chat-streaming, https://docs.anthropic.com/en/api/handling-stop-reasons,
https://ai.google.dev/api/generate-content#FinishReason, https://docs.mistral.ai/api, https://openrouter.ai/docs/api-reference/overview,
https://api-docs.deepseek.com/api/create-chat-completion, https://docs.z.ai/api-reference/llm/chat-completion.
"""

from __future__ import annotations

import logging

from waldur_chat.events import COMPLETE, FILTERED, LENGTH

logger = logging.getLogger(__name__)

ERROR = "error"
"""The service broke off; whatever was written is incomplete."""

_WORDS = {
    COMPLETE: ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"),
    LENGTH: ("length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"),
    FILTERED: (
        "content_filter",
        "safety",
        "blocklist",
        "prohibited_content",
        "recitation",
        "spii",
        "refusal",
        "sensitive",
    ),
    ERROR: ("error", "abort", "insufficient_system_resource", "network_error"),
    "": ("", "null", "none"),
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words}

MAX_LOGGED_WORDS = 20
"""How many unknown words of one provider are logged."""


def known_meaning(word: str) -> str | None:
    """What the word means: `COMPLETE`, `LENGTH`, `FILTERED`, `ERROR`, or empty for no reason; None if unknown."""
    return _MEANINGS.get(word.casefold().removeprefix("finish_reason_"))


class StopReasons:
    """Reads the stop reasons of one provider; it logs each unknown word once."""

    def __init__(self, model: str = "") -> None:
        self._model = model
        self._logged: set[str] = set()

    def meaning(self, word: str) -> str:
        """See `known_meaning()`; an unknown word is returned as it is, and means complete."""
        meaning = known_meaning(word)
        if meaning is None:
            self._log(word)
            return word
        return meaning

    def _log(self, word: str) -> None:
        if word not in self._logged and len(self._logged) < MAX_LOGGED_WORDS:
            self._logged.add(word)
            logger.warning(
                "%s stopped with the unknown word %r; the answer counts as complete.", self._model or "A model", word
            )
