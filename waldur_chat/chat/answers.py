"""Complete answers, and how the events of a turn become one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any

from waldur_chat.errors import ProviderEmpty, TurnCancelled
from waldur_chat.events import (
    WAITING,
    AnswerStatus,
    CallOutcome,
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    Reasoning,
    Started,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
    finished_status,
)
from waldur_chat.wire.thoughts import without_thoughts


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredCall:
    """A call of a tool that was made for an answer. `outcome` is None for one that waits for its user.

    `origins` then says of each argument where it comes from, see `events.ToolCalled`.
    """

    call_uuid: str
    tool: str
    arguments: Mapping[str, Any] = field(repr=False)
    outcome: CallOutcome | None = None
    summary: str = field(default="", repr=False)
    origins: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that did not fail. `reason` is the stop reason.

    `warning` is a sentence that the reader should know, for example that the beginning of a long conversation was left
    out; empty without one. `calls` are the calls of tools, in their order. `thread` is the id of the conversation in
    which it is stored, 32 hexadecimal digits; empty if it is in none. `value` is what the text holds where a schema was
    asked for: JSON, or an instance of the dataclass; otherwise, and for an answer that waits, None.
    """

    text: str
    reason: str
    usage: Usage | None
    warning: str = ""
    calls: tuple[AnsweredCall, ...] = ()
    thread: str = ""
    value: Any = field(default=None, repr=False)

    @property
    def status(self) -> AnswerStatus:
        """How it ended: `complete`; cut off: `length`, `filtered`; or `waiting` for its user's decision on a call."""
        return finished_status(self.reason)

    def __str__(self) -> str:
        return self.text


@dataclass(slots=True)
class CollectedEvents:
    """The events of a turn so far, joined."""

    thread: str = ""
    warning: str = ""
    text: StringIO = field(default_factory=StringIO)
    last_round: int = 0
    """Where in the text the model goes on after its last call of a tool."""
    has_thoughts: bool = False
    has_block: bool = False
    """Whether a result is shown, which may be all of the answer: a form."""
    calls: dict[str, AnsweredCall] = field(default_factory=dict)

    def add(self, event: Event) -> Answer | None:
        """Join one event; the last one gives the answer. Raises the turn's `ChatError` if it is not complete."""
        match event:
            case Delta(text=text):
                self.text.write(text)
            case Started(thread=thread):
                self.thread = thread
            case Warned(text=text):
                self.warning = text
            case Reasoning():  # Thoughts were separated from the text already.
                self.has_thoughts = True
            case ToolCalled(call_uuid=uuid, tool=tool, arguments=arguments, origins=origins):
                self.calls[uuid] = AnsweredCall(call_uuid=uuid, tool=tool, arguments=arguments, origins=origins)
            case ToolAnswered(call_uuid=uuid, outcome=outcome, summary=summary, block=block):
                self.has_block = self.has_block or bool(block)
                self.calls[uuid] = replace(self.calls[uuid], outcome=outcome, summary=summary)
                self.last_round = self.text.tell()
            case Finished(reason=reason, usage=usage):
                return self._answer(reason, usage)
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
        return None

    @property
    def last_text(self) -> str:
        """What the model wrote after its last call, without thoughts."""
        return self._without_thoughts(self.text.getvalue()[self.last_round :])

    def _answer(self, reason: str, usage: Usage | None) -> Answer:
        text = self._without_thoughts(self.text.getvalue())
        if not text.strip() and reason != WAITING and not self.has_block:
            raise ProviderEmpty
        calls = tuple(self.calls.values())
        return Answer(text=text, reason=reason, usage=usage, warning=self.warning, calls=calls, thread=self.thread)

    def _without_thoughts(self, text: str) -> str:
        return text if self.has_thoughts else without_thoughts(text)


def ended(events: list[Event]) -> bool:
    """Whether the last of these events is the last of its turn."""
    return bool(events) and isinstance(events[-1], (Finished, Failed, Cancelled))


def collect(events: Iterable[Event]) -> Answer:
    """Join all events of a turn to its answer, without thoughts that the model wrote into it.

    Raises the turn's `ChatError` if the answer is not complete.
    """
    return collect_into(CollectedEvents(), events)


def collect_into(collected: CollectedEvents, events: Iterable[Event]) -> Answer:
    """The same, for a caller who needs more than the answer."""
    for event in events:
        if answer := collected.add(event):
            return answer
    raise TurnCancelled
