"""What can be found, and the line that cures it, as data by subject. Words in braces are filled in from the site."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from waldur_chat.doctor.findings import access, model, site, streams

KINDS = {kind.id: kind for kind in (*site.KINDS, *access.KINDS, *streams.KINDS, *model.KINDS)}

IN_APPLICATION = {
    "proxy_compression": "middleware_compression",
    "proxy_buffering": "middleware_buffering",
    "proxy_hides_hangups": "middleware_hides_hangups",
}
"""What is called otherwise where the application itself, and no proxy, does it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A kind that was found, and what was seen of it."""

    id: str
    seen: str
    cause: str
    cure: str


def found(kind_id: str, seen: str, **values: Any) -> Finding:
    """A finding, with what its kind leaves open filled in."""
    kind = KINDS[kind_id]
    return Finding(id=kind.id, seen=seen, cause=_fill(kind.cause, values), cure=_fill(kind.cure, values))


def _fill(text: str, values: dict[str, Any]) -> str:
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
