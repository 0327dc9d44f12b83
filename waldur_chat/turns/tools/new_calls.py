"""Stores the calls of a round before they begin, and what is kept with those that wait for their user."""

from __future__ import annotations

from collections.abc import Sequence

from waldur_chat.engine.rounds.runner import Round
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.calls.sources import Sources, sources_of
from waldur_chat.store.turns.calls.told_calls import KeptThoughts
from waldur_chat.store.turns.tool_calls import NewCall
from waldur_chat.turns.tools.origins import origins_of
from waldur_chat.turns.tools.pending import PendingCall
from waldur_chat.turns.tools.schema_hash import schema_hash


def add_calls(turn: str, asked: Round, calls: Sequence[PendingCall], thoughts: KeptThoughts | None) -> None:
    """Store the calls of a round. The origins of arguments are found, and thoughts kept, only if one of them waits.

    Origins are found now, not when the call is shown: the model had what is said and found up to now.
    """
    waiting = [call for call in calls if call.is_waiting]
    sources = sources_of(turn) if waiting else Sources()
    for call in waiting:
        call.origins = origins_of(call.arguments, sources)
    new = [
        NewCall(
            uuid=call.uuid,
            request=call.request,
            arguments=call.arguments,
            schema_hash=schema_hash(call.tool.schema) if call.tool else "",
            status=call.status,
            expires=call.expires,
            origins=call.origins,
            thoughts=thoughts if waiting and call is waiting[0] else None,
        )
        for call in calls
    ]
    tool_calls.add(turn, asked.number, asked.position, new)
