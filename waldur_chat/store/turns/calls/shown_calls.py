"""What readers and pages see of calls of tools: events of their turn, and blocks of the stored answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from waldur_chat.events import CallOutcome, ToolAnswered, ToolCalled, ToolEvent
from waldur_chat.models import ToolCall
from waldur_chat.wire.blocks import split_into_blocks

Status = ToolCall.Status
OUTCOMES: dict[str, CallOutcome] = {
    Status.DONE: "done",
    Status.FAILED: "failed",
    Status.DENIED: "denied",
    Status.EXPIRED: "expired",
    Status.UNKNOWN: "unknown",
}
"""What readers are told of the calls that have ended."""


def events_of(calls: Sequence[ToolCall], turn: int) -> list[tuple[int, ToolEvent]]:
    """What readers are told of the calls of one turn, each with its position: those of a round, then their results.

    Calls that it runs for an earlier turn come first.
    """
    own = [call for call in calls if call.turn_id == turn]
    events = _of_round([(0, call) for call in calls if call.turn_id != turn])
    for number in sorted({call.round_number for call in own}):
        events += _of_round([(call.position, call) for call in own if call.round_number == number])
    return events


def _of_round(calls: Sequence[tuple[int, ToolCall]]) -> list[tuple[int, ToolEvent]]:
    ended = [one for one in calls if one[1].status in OUTCOMES]
    ended.sort(key=lambda one: one[1].ended or one[1].created)
    called: list[tuple[int, ToolEvent]] = [(position, _called(call)) for position, call in calls]
    return [*called, *((position, _answered(call)) for position, call in ended)]


def _called(call: ToolCall) -> ToolCalled:
    is_waiting = call.status == Status.WAITING
    return ToolCalled(
        call_uuid=call.uuid.hex,
        tool=call.tool,
        arguments=json.loads(call.arguments),
        approval="needed" if is_waiting else "",
        expires=call.expires if is_waiting else None,
        origins=call.origins or {},
    )


def _answered(call: ToolCall) -> ToolAnswered:
    return ToolAnswered(
        call_uuid=call.uuid.hex,
        tool=call.tool,
        outcome=OUTCOMES[call.status],
        summary=call.summary,
        block=shown(call.ui_component, call.ui_data),
    )


def shown(component: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What a page shows of a result: the fields of a block, and its `key`; empty for nothing."""
    return {**fields, "key": component} if component else {}


def blocks_of(text: str, start: int, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
    """The blocks of an answer: those of its text, which begins at this position, with its calls between them."""
    placed = [(max(0, call.position - start), call) for call in calls]
    return split_into_blocks(text, [(position, _block(call, position)) for position, call in placed])


def _block(call: ToolCall, position: int) -> dict[str, Any]:
    """The block of a call. Waldur's clients know `call_id`, `name`, `arguments` and `summary` of it, and `result`.

    `position` is the number of characters of the text before it.
    """
    return {
        "key": "tool",
        "position": position,
        "tool": {
            "call_id": call.call_id,
            "call_uuid": call.uuid.hex,
            "name": call.tool,
            "arguments": json.loads(call.arguments),
            "summary": call.summary,
            "outcome": OUTCOMES.get(call.status),
            **_approval(call),
            **({"origins": call.origins} if call.origins else {}),
        },
        "result": {
            "id": "0",
            "status": "complete",
            **(shown(call.ui_component, call.ui_data) or {"key": "markdown", "content": ""}),
        },
    }


def _approval(call: ToolCall) -> dict[str, Any]:
    """What a page needs to ask the user for a decision; empty for a call that needs none."""
    if call.status != Status.WAITING:
        return {}
    return {"approval": "needed", "expires": call.expires.isoformat() if call.expires else None}
