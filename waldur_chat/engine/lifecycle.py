"""The interface through which a running turn uses its surroundings: capacity, recorder and reporting."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from waldur_chat.engine.event_log import EventLog
from waldur_chat.events import StoredMessages, Terminal, Usage
from waldur_chat.record import TurnRecord


class Lifecycle(Protocol):
    """Accompanies one turn. Its methods are called on the turn's event loop, in this order."""

    record: TurnRecord
    """The record for operators; its ids are known before the turn begins."""

    is_recorded: bool
    """Whether the turn is stored, so that its complete text is needed at the end."""

    max_output_tokens: int | None
    """The token limit at which the answer is ended; None if only the provider limits it."""

    def begin(self, log: EventLog, usage: Callable[[], Usage | None]) -> None:
        """The turn begins to run. `usage` returns the usage so far."""

    def room(self) -> AbstractAsyncContextManager[object]:
        """Wait for room among the running turns and hold it in the context. Raises `TooManyTurns` and `ChatBusy`."""

    def answer_started(self) -> None:
        """The provider starts to answer; sets `record.first_event_seconds`."""

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        """Record the outcome before the reader gets it. Returns the ids of the stored messages, None if not stored."""

    def report(self, terminal: Terminal) -> None:
        """Report the end to operators, after the readers got it."""
