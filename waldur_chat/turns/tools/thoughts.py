"""The thoughts before the calls of a turn, which some services want back when the answer goes on."""

from __future__ import annotations

from waldur_chat.engine.rounds.runner import Round
from waldur_chat.store.turns.calls.told_calls import KeptThoughts

MOST_CHARACTERS = 64_000
"""Of all rounds together; each keeps the end of its share, which leads to its calls."""


class TurnThoughts:
    """The thoughts of the rounds so far. They are stored only with a call that waits for its user."""

    def __init__(self) -> None:
        self._rounds: dict[int, tuple[str, str]] = {}

    def note(self, asked: Round) -> None:
        """Note what was thought before the calls of this round."""
        if asked.reasoning_key and asked.reasoning:
            self._rounds[asked.number] = asked.reasoning_key, asked.reasoning[-MOST_CHARACTERS:]

    def kept(self) -> KeptThoughts | None:
        """What is to be stored; None for nothing."""
        share = MOST_CHARACTERS // max(1, len(self._rounds))
        return {str(number): [key, text[-share:]] for number, (key, text) in self._rounds.items()} or None
