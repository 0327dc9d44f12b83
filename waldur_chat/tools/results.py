"""What a tool returns: for the model, for the audit, and for the page (docs/tools.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from waldur_chat.wire.cutting import text_within

Outcome = Literal["success", "validation_error", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """The result of one call.

    `summary` is a sentence for the model and the audit; `data` is a JSON value for the model, None for none.
    `ui_component` names the block that is shown, with the fields `ui_data`. `error` says to people what went wrong.
    `advice` says how to ask for less, if the data are too long for the model. `ends_turn` leaves the rest to the user:
    the model is not asked again in this turn.
    """

    outcome: Outcome = "success"
    summary: str = ""
    data: Any = None
    ui_component: str = ""
    ui_data: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    advice: str = ""
    ends_turn: bool = False

    @classmethod
    def invalid(cls, words: str) -> ToolResult:
        """The arguments are wrong. The model learns why, and can correct them."""
        return cls(outcome="validation_error", summary=words, error=words)

    @classmethod
    def failed(cls, words: str, data: Any = None) -> ToolResult:
        """The call failed."""
        return cls(outcome="error", summary=words, error=words, data=data)

    def as_json(self) -> dict[str, Any]:
        """The object that Waldur's clients know; what is empty is left out."""
        optional = {
            "data": self.data,
            "ui_component": self.ui_component or None,
            "ui_data": _with_safe_links(self.ui_data) or None,
            "error": self.error or None,
        }
        present = {name: value for name, value in optional.items() if value is not None}
        return {"type": self.outcome, "summary": self.summary, **present}

    def text_for_model(self, limit: int) -> str:
        """The data as JSON, or the summary, in at most `limit` characters. If it was cut, it says so."""
        return text_within(self.summary if self.data is None else self.data, limit, self.advice)


def _with_safe_links(value: Any) -> Any:
    """The value without the addresses that a page must not open, as `javascript:` is one."""
    if isinstance(value, Mapping):
        return {name: _with_safe_links(inner) for name, inner in value.items() if name != "url" or is_safe_link(inner)}
    return [_with_safe_links(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def is_safe_link(address: object) -> bool:
    """Whether an address is http(s), or relative to the site."""
    if not isinstance(address, str) or any(character <= " " or character == "\\" for character in address):
        return False
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") or not (parts.scheme or parts.netloc)
