"""What a finding is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """A known fault: its likely cause, and the line to change. Words in braces are filled in by `make_finding()`."""

    id: str
    cause: str
    cure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A fault that was found on a site; `seen` is the observation."""

    id: str
    seen: str
    cause: str
    cure: str
