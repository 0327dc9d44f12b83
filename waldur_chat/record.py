"""What is known of a turn, for operators: the log record and the signals carry it. Plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from waldur_chat.events import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One time that a provider was asked. `code` is that of its error, empty where it began to answer."""

    provider: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose turn it is: the user's primary key as text (empty where nobody is known), and the request's id."""

    user_id: str = ""
    request_id: str = ""


@dataclass(slots=True, kw_only=True)
class TurnRecord:
    """One turn. Times are in seconds since its start, None for what did not happen.

    `provider` and `model` are those asked last. `status` is "running" until the turn has ended; then `code` is that
    of its error, empty for a whole answer, and `cause` says more, for the log only.
    """

    turn: str
    request_id: str
    user_id: str
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
