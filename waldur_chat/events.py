"""The events of a turn, as values. Plain Python; `wire` defines their formats.

A provider yields `Delta`, `Reasoning`, `Usage` and `Stopped`. A turn delivers `Started`, then `Delta` and `Reasoning`,
then exactly one of `Finished`, `Failed` and `Cancelled`. A stream without one of these three was cut off.
"""

from __future__ import annotations

from dataclasses import dataclass

from waldur_chat.errors import ChatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The next part of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """The next part of a reasoning model's thoughts before and within its answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens used so far by this turn, as counted by the provider. A later report replaces an earlier one.

    `estimated` is true if the provider did not report all of them.
    """

    input_tokens: int
    output_tokens: int
    estimated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Why the model stopped writing: "stop", "length", "content_filter", or the provider's own word."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The provider has started to answer. `turn` is the turn's id, `thread` that of its conversation.

    Ids are 32 hexadecimal digits, or empty if there is none.
    """

    turn: str
    thread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessages:
    """The ids of a turn's stored question and answer, empty if not stored."""

    question: str = ""
    answer: str = ""


Stored = StoredMessages
"""The earlier name, kept for code that imports it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete. `usage` is None where nothing was used."""

    reason: str
    usage: Usage | None
    stored: StoredMessages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The turn ended with an error; the text before it is incomplete."""

    error: ChatError
    usage: Usage | None
    stored: StoredMessages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The turn was cancelled; the text before it is incomplete."""

    usage: Usage | None
    stored: StoredMessages | None = None


ProviderEvent = Delta | Reasoning | Usage | Stopped
Terminal = Finished | Failed | Cancelled
Event = Started | Delta | Reasoning | Finished | Failed | Cancelled
