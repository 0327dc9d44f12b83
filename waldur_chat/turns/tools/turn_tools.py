"""Runs the tools that the model of a turn calls. Each call is stored before it begins, and when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.utils import timezone
from django.utils.translation import get_language

from waldur_chat.conf import Settings
from waldur_chat.engine.rounds.runner import Round, RoundResult
from waldur_chat.events import WAITING, CallRequested, ToolEvent
from waldur_chat.messages import Message, ToolSpec
from waldur_chat.metrics import observer
from waldur_chat.models import ToolCall
from waldur_chat.runtime import tenants
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.calls import told_calls
from waldur_chat.store.turns.calls.shown_calls import OUTCOMES
from waldur_chat.store.turns.tool_calls import EndedCall
from waldur_chat.tools import execution, registry
from waldur_chat.tools.arguments import InvalidArguments, parse
from waldur_chat.tools.base import Tool
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.effects import Effects
from waldur_chat.tools.results import ToolResult
from waldur_chat.turns.tools.call_store import CallStore
from waldur_chat.turns.tools.pending import PendingCall
from waldur_chat.turns.tools.selection import ToolSelection
from waldur_chat.wire.framing import data_in, framed

Announce = Callable[[ToolEvent], None]

NOT_OFFERED = "There is no tool of this name. You may call: {names}."
NEEDS_APPROVAL = "This call needs the user's approval, which nobody can give here. It was not run."
APPROVAL_TIME = timedelta(days=7)
"""How long a call waits for the user's decision."""

Status = ToolCall.Status

NOT_CLAIMED = "This call was not run: it was ended meanwhile, or the database cannot be reached."


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolOffer:
    """The tools of a user, which of them the model gets, and what they need of the user's request."""

    selection: ToolSelection = field(default_factory=lambda: ToolSelection((), 0))
    caller: ToolCaller | None = None

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools as the model gets them."""
        return self.selection.specs

    @property
    def trusted(self) -> frozenset[str]:
        """The names of the tools whose results do not taint."""
        return frozenset(self.selection.trusted)

    def runner(self, user: Any, started: StartedTurn, settings: Settings) -> TurnTools:
        """What runs them for a turn of this user. Called in the thread of the request."""
        context = ToolContext(
            user=user,
            caller=self.caller,
            thread=started.thread,
            turn=started.turn,
            language=get_language() or "",
            tenant=tenants.current(),
        )
        return TurnTools(self, context, settings, decided=started.decided)


def offer(
    user: Any, settings: Settings, caller: Callable[[], ToolCaller] | None, thread: UUID | None = None
) -> ToolOffer | None:
    """The tools for a question of this user in a conversation, if any; None if there are none."""
    kept = caller() if caller else None
    tools = registry.offered(user, kept, settings)
    if not tools:
        return None
    selection = ToolSelection(tools, settings.tools_offered)
    if selection.is_searched and thread:
        selection.load_of(thread, user)
    return ToolOffer(selection=selection, caller=kept)


class TurnTools:
    """The tools of one turn, for the user of the context. Calls of a stored turn are stored with it.

    `decided` are calls of an earlier answer on which the user has decided.
    """

    def __init__(
        self,
        offered: ToolOffer,
        context: ToolContext,
        settings: Settings,
        *,
        decided: Sequence[ToolCall] = (),
    ) -> None:
        self._selection = offered.selection
        self._context = context
        self._settings = settings
        self._key = told_calls.frame_key(context.turn or uuid4().hex)
        self._store = CallStore(context.turn if context.thread else "", context.tenant)
        self._decided = [PendingCall.decided(row, self._selection.find(row.tool)) for row in decided]

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools that the model is offered, in the next round."""
        return self._selection.specs

    @property
    def has_decided(self) -> bool:
        """Whether the user has decided on calls of an earlier answer."""
        return bool(self._decided)

    async def run_decided(self, announce: Announce) -> RoundResult:
        """Run the calls that the user has approved, one after the other."""
        calls = self._decided
        for call in calls:
            announce(call.called())
            if call.result:
                announce(call.answered("denied"))
                observer().tool_called(call.tool.name if call.tool else "", "denied")
        await self._run_all(calls, announce)
        return self._result(calls)

    async def run(self, asked: Round, announce: Announce) -> RoundResult:
        """Run the calls of one round: reads side by side, then what changes something, one after the other.

        Raises `DatabaseUnavailable` and `TurnInterrupted` if the calls cannot be stored; none is run then.
        """
        calls = [self._understood(request, is_tainted=asked.is_tainted) for request in asked.requests]
        await self._store.begin(asked, calls)
        for call in calls:
            announce(call.called())
        await self._run_all([call for call in calls if not call.is_waiting], announce)
        for call in calls:
            self._selection.load_called(call.request.name, call.result.data if call.result else None)
        if any(call.is_waiting for call in calls):
            return RoundResult(ends_turn=True, reason=WAITING)
        return self._result(calls)

    def _result(self, calls: Sequence[PendingCall]) -> RoundResult:
        """What calls gave that have ended."""
        ends_turn = any(call.result is not None and call.result.ends_turn for call in calls)
        return RoundResult(messages=tuple(self._message(call) for call in calls), ends_turn=ends_turn)

    async def _run_all(self, calls: Sequence[PendingCall], announce: Announce) -> None:
        """Run these calls, except those that have a result already."""
        try:
            await asyncio.gather(*[self._finish(call, announce) for call in calls if call.runs_at_once])
            for call in calls:
                if call.result is None:
                    await self._finish(call, announce)
        except asyncio.CancelledError:
            for call in calls:
                if call.result is None:
                    announce(call.left_behind())
            raise

    def _understood(self, request: CallRequested, *, is_tainted: bool) -> PendingCall:
        tool = self._selection.find(request.name)
        call = PendingCall(request=request, tool=tool)
        if tool is None:
            call.refusal = ToolResult.failed(NOT_OFFERED.format(names=", ".join(one.name for one in self.specs)))
        elif tool.needs_approval(is_tainted=is_tainted):
            self._ask_user(call, tool)
        elif tool.is_safe:
            call.status = Status.RUNNING
        return call

    def _ask_user(self, call: PendingCall, tool: Tool) -> None:
        """Let the call wait for the user's decision, if it is one that can be run."""
        try:
            parse(tool.schema, call.request.arguments)
        except InvalidArguments as error:
            call.refusal = ToolResult.invalid(str(error))
            return
        if not self._context.thread:
            call.refusal = ToolResult.failed(NEEDS_APPROVAL)
            return
        call.status, call.expires = Status.WAITING, timezone.now() + APPROVAL_TIME

    async def _finish(self, call: PendingCall, announce: Announce) -> None:
        """Run one call, store what it gave, and tell it."""
        if call.refusal is None and call.status != Status.RUNNING and not await self._store.claim(call):
            call.refusal = ToolResult.failed(NOT_CLAIMED)
        call.has_begun = True
        if call.refusal:
            observer().tool_called(call.tool.name if call.tool else "", "refused")
        result = call.refusal or await self._execute(call)
        ended = replace(self._ended(result), is_traced=call.is_traced)
        is_stored = await self._store.end(call, ended)
        call.result = result
        outcome = OUTCOMES[ended.status] if is_stored else "unknown"
        announce(call.answered(outcome, ended))

    async def _execute(self, call: PendingCall) -> ToolResult:
        assert call.tool
        call.is_traced = bool(self._context.thread) and not call.tool.is_safe
        effects = Effects(call.uuid) if call.is_traced else None
        context = replace(self._context, call=call.uuid.hex, effects=effects)
        return await execution.run(call.tool, context, call.request.arguments)

    def _ended(self, result: ToolResult) -> EndedCall:
        return EndedCall(
            status=Status.DONE if result.outcome == "success" else Status.FAILED,
            summary=tool_calls.storable(result.summary)[: tool_calls.SUMMARY_LENGTH],
            result=self._text(result),
            ui_component=result.ui_component,
            ui_data=result.as_json().get("ui_data", {}),
        )

    def _message(self, call: PendingCall) -> Message:
        assert call.result
        text, data = self._text(call.result), None
        if call.taints:
            text = framed(text, self._key)
            data = data_in(text)
        return Message(
            role="tool",
            text=text,
            call_id=call.request.id,
            data=(data or (0, len(text)),),
            is_tainted=call.taints,
        )

    def _text(self, result: ToolResult) -> str:
        text: str = tool_calls.storable(result.text_for_model(self._settings.tool_result_length))
        return text
