"""What a turn needs of its surroundings: room to run in, and somebody who records and reports it."""

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
    """What operators learn of the turn; its ids are known before it begins."""

    is_recorded: bool
    """Whether the turn leaves something behind, so that its whole text is needed at its end."""

    max_output_tokens: int | None
    """Where the answer must be ended; None where nothing but its provider limits it."""

    def begin(self, log: EventLog, usage: Callable[[], Usage | None]) -> None:
        """The turn begins to run. `usage` tells what it has used by then."""

    def room(self) -> AbstractAsyncContextManager[object]:
        """Wait for room to run in, and keep it. Raises `TooManyTurns` and `ChatBusy`."""

    def answer(self) -> None:
        """The provider begins to answer: `record.first_event_seconds` is known."""

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        """The turn ends so; record it. Tells where it is stored, None where it is not. Its reader waits."""

    def report(self, terminal: Terminal) -> None:
        """The readers were told of the end: tell the operators."""
