"""What the client returns: complete answers, and events. All events but `Failed` are those of `waldur_chat.events`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waldur_chat.client.errors import ChatError
from waldur_chat.errors import TurnInterrupted
from waldur_chat.events import (
    AnswerStatus,
    Cancelled,
    Delta,
    Finished,
    Reasoning,
    Started,
    StoredMessages,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
    answer_status,
    finished_status,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The turn ended with an error; the text before it is incomplete."""

    error: ChatError
    usage: Usage | None
    stored: StoredMessages | None = None


Event = Started | Warned | Delta | Reasoning | ToolCalled | ToolAnswered | Finished | Failed | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that did not fail. `reason` says why the model stopped.

    `turn` and `thread` are IDs of 32 hexadecimal digits; `thread` is empty if the site stores no conversations.
    `warning` is a sentence that the reader should know, for example that the beginning of a long conversation was left
    out; empty without one.
    """

    text: str
    reason: str
    turn: str
    thread: str
    usage: Usage | None
    stored: StoredMessages | None
    warning: str = ""

    @property
    def status(self) -> AnswerStatus:
        """How it ended: `complete`, or cut off: `length`, `filtered`."""
        return finished_status(self.reason)

    def __str__(self) -> str:
        return self.text


def status_of(end: Finished | Failed | Cancelled) -> AnswerStatus:
    """How the answer ended, by the last event of its turn."""
    if isinstance(end, Failed):
        return "interrupted" if end.error.code == TurnInterrupted.code else "failed"
    return answer_status(end)


def collect(events: Sequence[Event], turn: str, thread: str) -> Answer:
    """Make an answer of all events of a turn. Raises `ChatError` if the turn was not finished."""
    text = "".join(event.text for event in events if isinstance(event, Delta))
    warning = " ".join(event.text for event in events if isinstance(event, Warned))
    match events[-1] if events else None:
        case Finished(reason=reason, usage=usage, stored=stored):
            return Answer(
                text=text, reason=reason, turn=turn, thread=thread, usage=usage, stored=stored, warning=warning
            )
        case Failed(error=error):
            raise error
        case _:
            raise ChatError("The answer was stopped.", code="cancelled", status=409, retryable=True)
