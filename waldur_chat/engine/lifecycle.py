"""The interface through which a running turn uses its surroundings: capacity, recorder and reporting."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import StoredMessages, Terminal
from waldur_chat.messages import Prompt
from waldur_chat.record import TurnRecord

GRANT_SECONDS = 3.0
"""How long a turn waits for a larger reservation. If nobody has answered then, the database is slow; it continues."""


class Allowance(Protocol):
    """The tokens that are reserved for a turn, as far as its answer may use them."""

    def is_used_up(self) -> bool:
        """Whether the turn must call `grown()` before it continues."""

    def left_bytes(self) -> float:
        """How many bytes of text may be written before that; infinite if the provider keeps to its limit."""

    async def grown(self) -> bool:
        """Wait for more, at most `GRANT_SECONDS`. False if nothing is left, and the answer must end."""

    def begin_round(self, prompt: Prompt) -> int:
        """Another request follows. Returns the most tokens that its answer may have; below 1 if nothing is left."""


class Lifecycle(Protocol):
    """Accompanies one turn. Its methods are called on the turn's event loop, in this order."""

    record: TurnRecord
    """The record for operators; its ids are known before the turn begins."""

    is_recorded: bool
    """Whether the turn is stored, so that its complete text is needed at the end."""

    @property
    def allowance(self) -> Allowance | None:
        """The tokens that are reserved for the turn; None if they are not limited."""

    def begin(self, log: EventLog, counter: UsageCounter) -> None:
        """The turn begins to run. The counter has the usage so far."""

    def room(self) -> AbstractAsyncContextManager[object]:
        """Wait for room among the running turns and hold it in the context. Raises `TooManyTurns` and `ChatBusy`."""

    def answer_started(self) -> None:
        """The provider starts to answer; sets `record.first_event_seconds`."""

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        """Record the outcome before the reader gets it. Returns the ids of the stored messages, None if not stored."""

    def report(self, terminal: Terminal) -> None:
        """Report the end to operators, after the readers got it."""
