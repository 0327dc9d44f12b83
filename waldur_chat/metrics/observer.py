"""The interface of what measures. The base class measures nothing."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from waldur_chat.errors import ChatError
from waldur_chat.events import Usage
from waldur_chat.record import TurnRecord


class Observer:
    """Told of what happens in this process, from any thread. Nothing that it does may raise or wait."""

    def turn_ended(self, record: TurnRecord) -> None:
        """A turn of this process has ended; its record is complete."""

    def title_ended(self, record: TurnRecord, usage: Usage | None) -> None:
        """The turn for a title beside an answer has ended: stored as finished, whatever became of its request."""

    def turn_interrupted(self, purpose: str, model: str, usage: Usage) -> None:
        """A turn of a process that died was ended by this one."""

    def turn_refused(self, error: ChatError) -> None:
        """A question was refused before it became a turn."""

    def request_refused(self, code: str) -> None:
        """A question was refused before it was looked at."""

    def waiting(self) -> AbstractContextManager[None]:
        """A turn waits for room in this context."""
        return nullcontext()

    def running(self) -> AbstractContextManager[None]:
        """A turn has room in this context."""
        return nullcontext()

    def tool_called(self, tool: str, outcome: str, seconds: float | None = None) -> None:
        """A call of a tool has ended; without seconds it was not run. `tool` is empty if the site has no such tool."""

    def stream_rejoined(self, source: str) -> None:
        """A further reader has come to a turn: of this process, of another one, or ended."""

    def breaker_changed(self, provider: str, breaker: object, *, is_open: bool) -> None:
        """The circuit breaker of a provider has opened or closed."""
