"""The base class of tools: what the model may do in the host, for the user who asks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from waldur_chat import users
from waldur_chat.tools.context import ToolContext

Approval = Literal["never", "always", "tainted"]
APPROVALS = ("never", "always", "tainted")
ROLES = ("staff", "staff_and_support", "all", "anonymous")
NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({"type": "object", "properties": {}, "additionalProperties": False})


class Tool:
    """A tool. A subclass sets a name, a description and a schema, and defines `execute`.

    `schema` is the JSON Schema of an object: the arguments. `is_safe` says that a call changes nothing; calls of other
    tools need the user's approval, unless `approval` says `never` (see `needs_approval`). `outward` says that a call
    tells others something, `trusted` that its results hold no words of strangers. `roles` says whose model gets it.
    `atomic` puts a transaction around a call, in which the call is `done`, too; `execute` must not be `async` then.
    `timeout_seconds` is the time limit of a call, by default `TOOL_SECONDS`. `needs_request` is for tools that only
    work with the request of a user. `always_offered` is for tools that a model gets without a search for them, where
    the user has more than `TOOLS_OFFERED`.
    """

    name: str = ""
    description: str = ""
    schema: Mapping[str, Any] = NO_ARGUMENTS
    approval: Approval | None = None
    is_safe: bool = False
    outward: bool = False
    trusted: bool = False
    atomic: bool = False
    roles: str = "all"
    timeout_seconds: float | None = None
    needs_request: bool = False
    always_offered: bool = False

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> Any:
        """Do it, as the user of the context. The arguments are valid by the schema.

        It may be `async`; otherwise it runs in a thread of its own. It returns a `ToolResult`, a string, or a JSON
        value. What it raises becomes a sentence for the model (`tools.failures`).
        """
        raise NotImplementedError

    def needs_approval(self, *, is_tainted: bool) -> bool:
        """Whether the user must approve a call first.

        `is_tainted` says that the prompt holds words of strangers, which may have led the model to the call.
        """
        if self.approval == "always":
            return True
        if self.approval == "tainted":
            return is_tainted
        if self.approval == "never":
            return is_tainted and (self.outward or not self.is_safe)
        return not self.is_safe or (is_tainted and self.outward)

    def is_for(self, user: Any) -> bool:
        """Whether the model of this user gets the tool. What it may read and change, the tool decides at each call."""
        if self.roles == "anonymous":
            return True
        if not (getattr(user, "is_authenticated", False) and getattr(user, "is_active", True)):
            return False
        if self.roles == "all":
            return True
        return bool(getattr(user, "is_staff", False)) if self.roles == "staff" else users.sees_all(user)
