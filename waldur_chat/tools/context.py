"""What a tool knows of the call: for whom it is, and where it belongs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from waldur_chat.runtime.tenants import Tenant
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.effects import Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolContext:
    """The user of a call, and its place.

    `caller` is what was kept of the user's request; None without one, as in Celery. `thread` and `turn` are 32
    hexadecimal digits, empty for a call outside a conversation. `call` is unique to the call, and stays the same if it
    is tried again: an idempotency key for what reaches outside. `language` is the user's, empty for the site's.
    """

    user: Any
    caller: ToolCaller | None = None
    thread: str = ""
    turn: str = ""
    call: str = ""
    language: str = ""
    tenant: Tenant | None = field(default=None, repr=False)
    effects: Effects | None = field(default=None, repr=False)
    """Notes what a stored call does that may change something; for this package."""
