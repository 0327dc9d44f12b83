"""What a finding is made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A thing that breaks streams: the likely cause, and the line to change."""

    id: str
    cause: str
    cure: str
