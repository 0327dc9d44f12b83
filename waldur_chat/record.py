"""The record of a turn for operators, carried by the log record and the signals. Plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from waldur_chat.events import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One request to a provider. `code` is that of its error, empty if it started to answer."""

    provider: str
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The origin of a turn: the user's primary key as text (empty if unknown), and the id of the request."""

    user_id: str = ""
    request_id: str = ""


@dataclass(slots=True, kw_only=True)
class TurnRecord:
    """One turn. Times are in seconds since its start, None for what did not happen.

    `provider` and `model` are those of the last attempt. `status` is "running" until the turn has ended; then `code` is
    that of its error, empty for a complete answer, and `cause` gives details for the log only.
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
