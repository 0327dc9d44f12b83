"""What happens in a turn, as values. Plain Python; how they look on the wire is in `wire`.

A provider yields `Delta`, `Reasoning`, `Usage` and `Stopped`. A turn gives its reader `Started`, then `Delta` and
`Reasoning`, then exactly one of `Finished`, `Failed` and `Cancelled`. A stream without one of these three is broken.
"""

from __future__ import annotations

from dataclasses import dataclass

from waldur_chat.errors import ChatError


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """The next piece of what a reasoning model thinks before and between its answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens used so far by this turn, as the provider counts them. A later report replaces an earlier one.

    `estimated` is true where the provider did not report all of them and we had to guess.
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
    """The provider has begun to answer. `turn` is the turn's id, `thread` that of the conversation it belongs to.

    Ids are 32 hexadecimal digits, and empty where there is no such thing.
    """

    turn: str
    thread: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessages:
    """Where a turn's question and answer are stored: the ids of the messages, empty where there is none."""

    question: str = ""
    answer: str = ""


Stored = StoredMessages
"""Its earlier name, for code that imports it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The answer is complete. `usage` is None where nothing was used."""

    reason: str
    usage: Usage | None
    stored: StoredMessages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The turn ended with an error; what was written before it is not the whole answer."""

    error: ChatError
    usage: Usage | None
    stored: StoredMessages | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The turn was stopped; what was written before it is not the whole answer."""

    usage: Usage | None
    stored: StoredMessages | None = None


ProviderEvent = Delta | Reasoning | Usage | Stopped
Terminal = Finished | Failed | Cancelled
Event = Started | Delta | Reasoning | Finished | Failed | Cancelled
