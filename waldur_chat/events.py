"""The events of a turn, as values. Plain Python; `wire` defines their formats.

A provider yields `Delta`, `Reasoning`, `Usage` and `Stopped`, rarely `ReasoningWasAnswer`; if tools are offered also
`CallPending` and `CallRequested`. A turn delivers `Started`, at most one `Warned`, then `Delta`, `Reasoning`,
`ToolCalled` and `ToolAnswered`, then exactly one of `Finished`, `Failed` and `Cancelled`. A stream without one of these
three was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from waldur_chat.errors import ChatError, TurnInterrupted

COMPLETE, LENGTH, FILTERED = "stop", "length", "content_filter"
WAITING = "waiting"
"""The stop reasons with a meaning of their own. Any other word of a provider is passed on, and means complete.

`WAITING` is ours: the answer goes on when the user has decided on its calls of tools.
"""

AnswerStatus = Literal["complete", "stopped", "failed", "interrupted", "length", "filtered", "waiting"]
"""How an answer ended. Interrupted means that its process died; stopped, that somebody asked for it."""

APPROVAL_NEEDED = "This needs your approval. The answer goes on when you have approved or denied it."
"""What readers of formats without calls of tools are told of an answer that waits. A sentence to be translated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The next part of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasoning:
    """The next part of a reasoning model's thoughts before and within its answer."""

    text: str


MOST_TOKENS = 2**31 - 1
"""The most that a column of counted tokens holds. No model generates that many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningWasAnswer:
    """What was yielded as `Reasoning` so far is the answer after all: `text` is it, and not counted again."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens used so far by this turn, as counted by the provider. Of several reports each side's largest count holds.

    `estimated` is true if the provider did not report all of them.
    """

    input_tokens: int
    output_tokens: int
    estimated: bool = False

    def bounded(self) -> Usage:
        """The same, with counts that can be stored."""
        input_tokens, output_tokens = (
            min(max(count, 0), MOST_TOKENS) for count in (self.input_tokens, self.output_tokens)
        )
        return Usage(input_tokens=input_tokens, output_tokens=output_tokens, estimated=self.estimated)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallRequested:
    """The model asks for one call of a tool that the prompt offers; the event holds all of it.

    `id` is ours and unique in the turn: "call" and five hexadecimal digits, which every service takes back. `arguments`
    is the text of a JSON object, as far as the model wrote one. `extra` are further fields of the call, to be sent back
    word for word, as signatures of thoughts are. `reasoning_key` is the field in which the thoughts before the call
    came, and go back; empty if they do not go back.
    """

    id: str
    name: str
    arguments: str = field(default="{}", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    reasoning_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPending:
    """The model is writing a call, which is told only when it is whole, and may take as long as an answer.

    It comes with each part, as a sign of life, and says nothing else: there may be no call after all.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """Why the model stopped writing: `COMPLETE`, `LENGTH`, `FILTERED`, or the provider's own word.

    A `Delta`, `Reasoning` or `CallRequested` after it takes the reason back: some services send one with every chunk.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The provider has started to answer. `turn` is the turn's id, `thread` that of its conversation.

    Ids are 32 hexadecimal digits, or empty if there is none.
    """

    turn: str
    thread: str = ""


HISTORY_SHORTENED = "The beginning of this conversation no longer fits into the language model and was left out."
HISTORY_OVER_BUDGET = "Few tokens are left, so the beginning of this conversation was left out."
CONTEXT_MISSING = "The information of this site could not be looked up. The answer was written without it."
"""Sentences of `Warned`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """What a reader should know of the answer: a sentence to be translated, and its code. It follows `Started`."""

    text: str
    code: str = "history_shortened"


def warned_of(text: str) -> Warned:
    """The event of this sentence."""
    return Warned(text=text, code="context_missing") if text == CONTEXT_MISSING else Warned(text=text)


CallOutcome = Literal["done", "failed", "denied", "expired", "unknown"]
"""How a call of a tool ended. Unknown means that its process died, or that nobody waited for its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled:
    """The model calls a tool. `call_uuid` has 32 hexadecimal digits.

    `approval` is "needed" for a call that waits for its user, until `expires`. `origins` then says of each argument
    where it comes from: a list of `source` ("user", "result" with the name of its `tool`, or "model").
    """

    call_uuid: str
    tool: str
    arguments: Mapping[str, Any] = field(repr=False)
    approval: Literal["", "needed"] = ""
    expires: datetime | None = None
    origins: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolAnswered:
    """A call of a tool has ended. `summary` says in words what came of it; it may be empty.

    `block` is what a page shows of it: a `key`, such as `homeport_nav`, and its fields; empty for nothing.
    """

    call_uuid: str
    tool: str
    outcome: CallOutcome
    summary: str = field(default="", repr=False)
    block: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


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


ProviderEvent = Delta | Reasoning | ReasoningWasAnswer | CallPending | CallRequested | Usage | Stopped
Terminal = Finished | Failed | Cancelled
ToolEvent = ToolCalled | ToolAnswered
Event = Started | Warned | Delta | Reasoning | ToolCalled | ToolAnswered | Finished | Failed | Cancelled


def begins_answer(event: ProviderEvent) -> bool:
    """Whether the provider has started to answer with this event, which decides the status of the response."""
    if isinstance(event, (CallPending, CallRequested)):
        return True
    return isinstance(event, (Delta, Reasoning)) and bool(event.text)


def is_content(event: ProviderEvent) -> bool:
    """Whether an answer with this event is not empty. Thoughts alone are no answer, and neither is white space."""
    if isinstance(event, CallRequested):
        return True
    return isinstance(event, (Delta, ReasoningWasAnswer)) and bool(event.text) and not event.text.isspace()


STATUS_OF_REASON: Mapping[str, AnswerStatus] = {LENGTH: "length", FILTERED: "filtered", WAITING: "waiting"}


def finished_status(reason: str) -> AnswerStatus:
    """How an answer ended whose model stopped for this reason."""
    return STATUS_OF_REASON.get(reason, "complete")


def answer_status(terminal: Terminal) -> AnswerStatus:
    """How the answer of this turn ended."""
    match terminal:
        case Finished(reason=reason):
            return finished_status(reason)
        case Cancelled():
            return "stopped"
        case Failed(error=error):
            return "interrupted" if isinstance(error, TurnInterrupted) else "failed"


def with_tool_events(text: str, start: int, tool_events: Iterable[tuple[int, ToolEvent]]) -> list[Event]:
    """A text, from this position on, as deltas with the events of tools between them, each at its position."""
    events: list[Event] = []
    written = 0
    for position, event in tool_events:
        cut = max(position - start, written)
        events += [Delta(text=text[written:cut])] if text[written:cut] else []
        events.append(event)
        written = cut
    return [*events, Delta(text=text[written:])] if text[written:] else events
