"""All faults that the doctor can name, by subject, each with its cause and the line that cures it."""

from __future__ import annotations

from typing import Any

from waldur_chat.doctor.findings.access import ACCESS_KINDS
from waldur_chat.doctor.findings.database import DATABASE_KINDS
from waldur_chat.doctor.findings.delivery import DELIVERY_KINDS
from waldur_chat.doctor.findings.kinds import Finding, FindingKind
from waldur_chat.doctor.findings.provider import PROVIDER_KINDS
from waldur_chat.doctor.findings.tools import TOOL_KINDS

__all__ = ["IN_APPLICATION", "KINDS", "Finding", "FindingKind", "make_finding"]

KINDS = {kind.id: kind for kind in (*ACCESS_KINDS, *DELIVERY_KINDS, *PROVIDER_KINDS, *TOOL_KINDS, *DATABASE_KINDS)}
"""By id, in the order of the table in docs/doctor.md."""

IN_APPLICATION = {
    "proxy_compression": "middleware_compression",
    "proxy_buffering": "middleware_buffering",
    "proxy_hides_hangups": "middleware_hides_hangups",
}
"""Faults with another id where the application causes them, not a proxy."""


def make_finding(kind_id: str, seen: str, **values: Any) -> Finding:
    """Make a finding of this kind, with `values` in place of the words in braces."""
    kind = KINDS[kind_id]
    return Finding(id=kind.id, seen=seen, cause=_fill(kind.cause, values), cure=_fill(kind.cure, values))


def _fill(text: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
