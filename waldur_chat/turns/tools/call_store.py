"""Stores the calls of one turn: before they begin, when one is run, and what it gave."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import Error

from waldur_chat.engine.rounds.runner import Round
from waldur_chat.errors import DatabaseUnavailable, TurnInterrupted, TurnNotFound
from waldur_chat.models import ToolCall
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.tool_calls import EndedCall
from waldur_chat.turns.tools.new_calls import add_calls
from waldur_chat.turns.tools.pending import PendingCall
from waldur_chat.turns.tools.thoughts import TurnThoughts

logger = logging.getLogger("waldur_chat.lifecycle")

T = TypeVar("T")

RETRY_SECONDS = (0.2, 1.0, 3.0)
"""Seconds between attempts to store what a call gave."""

_worker = Worker("waldur-chat-calls")


class CallStore:
    """The rows of a turn's calls, in the thread of a worker. Without a turn nothing is stored; every call may run."""

    def __init__(self, turn: str, tenant: Tenant | None) -> None:
        self._turn = turn
        self._tenant = tenant
        self._thoughts = TurnThoughts()

    async def begin(self, asked: Round, calls: Sequence[PendingCall]) -> None:
        """Store the calls of a round, those that run at once as running.

        Raises `DatabaseUnavailable`, and `TurnInterrupted` if its conversation was deleted or it was taken for dead.
        """
        if not self._turn:
            return
        self._thoughts.note(asked)
        try:
            await self._run(add_calls, self._turn, asked, calls, self._thoughts.kept())
        except TurnNotFound as error:
            raise TurnInterrupted from error
        except Error as error:
            raise DatabaseUnavailable(f"Calls of tools could not be stored: {type(error).__name__}") from error

    async def claim(self, call: PendingCall) -> bool:
        """Mark a call as running, before it is: of two that claim it, one runs it."""
        if self._turn:
            try:
                if not await self._run(_claim, call):
                    return False
            except Error:
                return False
        call.status = ToolCall.Status.RUNNING
        return True

    async def end(self, call: PendingCall, ended: EndedCall) -> bool:
        """Store the end, repeatedly if the database fails. Otherwise the end of the turn finds the call unknown."""
        if not self._turn:
            return True
        for pause in (*RETRY_SECONDS, None):
            try:
                return await self._run(tool_calls.end, self._turn, call.uuid, ended, call.status)
            except Error as error:
                logger.error("The end of a call of %s was not stored: %s", call.request.name, type(error).__name__)
                if pause is not None:
                    await asyncio.sleep(pause)
        return False

    async def _run(self, operation: Callable[..., T], *arguments: object) -> T:
        return await _worker.submit(tenants.run_within, self._tenant, operation, *arguments)


def _claim(call: PendingCall) -> bool:
    return tool_calls.change(call.uuid, call.status, status=ToolCall.Status.RUNNING)
