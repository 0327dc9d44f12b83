"""A call of a tool on its way: of this turn's model, or of an earlier answer and approved by the user since."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from waldur_chat.events import CallOutcome, CallRequested, ToolAnswered, ToolCalled
from waldur_chat.models import ToolCall
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.calls import shown_calls
from waldur_chat.store.turns.tool_calls import EndedCall
from waldur_chat.tools.base import Tool
from waldur_chat.tools.results import ToolResult
from waldur_chat.turns.tools.schema_hash import schema_hash

Status = ToolCall.Status

NO_LONGER_OFFERED = "The tool is not there any more, or not for this user. It was not run."
HAS_CHANGED = "The tool has changed since the call was made. It was not run. Call it again."


@dataclass(slots=True, kw_only=True)
class PendingCall:
    """Without a tool, or with a `refusal`, it is not run. `status` is that of its row.

    `expires` is set for a call that waits for the user's decision: the turn does not run it.
    """

    request: CallRequested
    tool: Tool | None
    refusal: ToolResult | None = None
    uuid: UUID = field(default_factory=uuid4)
    status: str = Status.PROPOSED
    expires: datetime | None = None
    origins: Mapping[str, Any] | None = None
    result: ToolResult | None = None
    has_begun: bool = False
    is_traced: bool = False

    @classmethod
    def decided(cls, row: ToolCall, tool: Tool | None) -> PendingCall:
        """A call on which the user has decided. What runs is what they saw: the arguments of the row."""
        request = CallRequested(id=row.call_id, name=row.tool, arguments=row.arguments, extra=row.extra)
        call = cls(request=request, tool=tool, uuid=row.uuid, status=row.status, origins=row.origins)
        if row.status == Status.DENIED:
            call.result = ToolResult.failed(row.result)
        elif tool is None:
            call.refusal = ToolResult.failed(NO_LONGER_OFFERED)
        elif not _is_unchanged(row, tool):
            call.refusal = ToolResult.failed(HAS_CHANGED)
        return call

    @property
    def is_waiting(self) -> bool:
        """Whether the user has to decide on it."""
        return self.status == Status.WAITING

    @property
    def taints(self) -> bool:
        """Whether its result may hold words of strangers."""
        return self.tool is not None and self.refusal is None and self.has_begun and not self.tool.trusted

    @property
    def runs_at_once(self) -> bool:
        """Whether it changes nothing, so that it runs beside others when the round begins."""
        return self.status == Status.RUNNING

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments for people; empty if they are no object."""
        try:
            arguments = json.loads(self.request.arguments or "{}")
            json.dumps(arguments, allow_nan=False)  # NaN, Infinity and 1e400 are no JSON, and no database stores them.
        except (ValueError, RecursionError):
            return {}
        return tool_calls.storable(arguments) if isinstance(arguments, dict) else {}

    def called(self) -> ToolCalled:
        """The event of its beginning."""
        return ToolCalled(
            call_uuid=self.uuid.hex,
            tool=self.request.name,
            arguments=self.arguments,
            approval="needed" if self.is_waiting else "",
            expires=self.expires,
            origins=self.origins or {},
        )

    def answered(self, outcome: CallOutcome, ended: EndedCall | None = None) -> ToolAnswered:
        """The event of its end, with what came of it."""
        return ToolAnswered(
            call_uuid=self.uuid.hex,
            tool=self.request.name,
            outcome=outcome,
            summary=ended.summary if ended else "",
            block=shown_calls.shown(ended.ui_component, tool_calls.storable(ended.ui_data)) if ended else {},
        )

    def left_behind(self) -> ToolAnswered:
        """What is told of a call that has not ended when its turn does; see `tool_calls.end_all()`."""
        return self.answered("unknown" if self.has_begun else "expired")


def _is_unchanged(row: ToolCall, tool: Tool) -> bool:
    """Whether the tool is called as when the call was made, with the arguments of then."""
    arguments_hash = sha256(row.arguments.encode()).hexdigest()
    return row.schema_hash == schema_hash(tool.schema) and row.arguments_hash == arguments_hash
