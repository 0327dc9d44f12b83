"""Recognizes a model that calls the same tool again and again, and learns nothing."""

from __future__ import annotations

import json
from collections import Counter

from waldur_chat.events import CallRequested

TOLD_AT, LAST_AT = 3, 4
"""How often the same call with the same result is told to the model, and how often it may occur at all."""


class RepeatedCalls:
    """Counts equal calls of one turn with equal results."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def count(self, request: CallRequested, result: str) -> int:
        """How often this call has had this result, with this time."""
        key = (request.name, canonical(request.arguments), result)
        self._counts[key] += 1
        return self._counts[key]


def canonical(arguments: str) -> str:
    """The same text for arguments that differ in order and white space only."""
    try:
        return json.dumps(json.loads(arguments or "{}"), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments
