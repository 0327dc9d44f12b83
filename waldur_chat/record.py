"""The record of a turn for operators, carried by the log record and the signals. Plain Python."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Literal

from waldur_chat.events import CallRequested, Delta, ProviderEvent, Reasoning, Usage

_PIECES = frozenset({Delta, Reasoning, CallRequested})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to a provider. `code` is that of its error, empty if it started to answer."""

    provider: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The origin of a turn: the user's primary key as text (empty if unknown), and the id of the request.

    `impersonator_id` is the primary key of who asked as that user, empty if they asked themselves.
    """

    user_id: str = ""
    request_id: str = ""
    impersonator_id: str = ""


@dataclass(slots=True)
class TurnTimes:
    """What a turn waited for, and the pace of its answer, by `time.monotonic()`. Measured with `METRICS` only.

    It begins when the question arrives, before the turn is written. A gap is the time between two pieces of one answer
    as they were read: a text, a thought or a call each.
    """

    began_at: float = field(default_factory=monotonic)
    waited_seconds: float = 0.0
    gaps: int = 0
    gap_seconds: float = 0.0
    longest_gap: float = 0.0
    ready_at: float = 0.0
    """When the turn began to wait for the next event of its provider."""
    last_piece_at: float = 0.0

    @property
    def own_seconds(self) -> float:
        """Seconds until now that were not spent waiting for room, provider, tools or reader."""
        return max(0.0, monotonic() - self.began_at - self.waited_seconds)

    def arrived(self, event: ProviderEvent) -> None:
        """Count an event that was read. Called for each of them, so it calls nothing else."""
        now = monotonic()
        self.waited_seconds += now - self.ready_at
        if event.__class__ in _PIECES:
            gap, self.last_piece_at = now - self.last_piece_at, now
            self.gaps += 1
            self.gap_seconds += gap
            if gap > self.longest_gap:
                self.longest_gap = gap

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Read the rest of an answer in this context, after its first piece."""
        self.ready_at = self.last_piece_at = monotonic()
        try:
            yield
        finally:  # The end, or the cancellation, was waited for too.
            self.waited_seconds += monotonic() - self.ready_at

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for others in this context."""
        began = monotonic()
        try:
            yield
        finally:
            self.waited_seconds += monotonic() - began


def waiting(times: TurnTimes | None) -> AbstractContextManager[None]:
    """Wait for others in this context, if times are measured."""
    return times.waiting() if times else nullcontext()


def reading(times: TurnTimes | None) -> AbstractContextManager[None]:
    """Read the rest of an answer in this context, if times are measured."""
    return times.reading() if times else nullcontext()


@dataclass(slots=True, kw_only=True)
class TurnRecord:
    """One turn. Times are in seconds since its start, None for what did not happen.

    `provider` and `model` are those of the last attempt. `status` is "running" until the turn has ended; then `code` is
    that of its error, empty for a complete answer, and `cause` gives details for the log only. `purpose` is what the
    model was asked for.
    """

    turn: str
    request_id: str
    user_id: str
    impersonator_id: str = ""
    thread: str = ""
    provider: str = ""
    model: str = ""
    status: Literal["running", "finished", "failed", "cancelled"] = "running"
    code: str = ""
    cause: str = ""
    first_event_seconds: float | None = None
    seconds: float | None = None
    usage: Usage | None = None
    attempts: list[Attempt] = field(default_factory=list)
    purpose: Literal["answer", "title"] = "answer"
    times: TurnTimes | None = field(default=None, repr=False)
