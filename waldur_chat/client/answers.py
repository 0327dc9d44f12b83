"""What the client returns: complete answers, and events. All events but `Failed` are those of `waldur_chat.events`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from waldur_chat.client.errors import ChatError
from waldur_chat.events import Cancelled, Delta, Finished, Reasoning, Started, StoredMessages, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The turn ended with an error; the text before it is incomplete."""

    error: ChatError
    usage: Usage | None
    stored: StoredMessages | None = None


Event = Started | Delta | Reasoning | Finished | Failed | Cancelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer. `reason` says why the model stopped: "length" means that the text was cut off.

    `turn` and `thread` are IDs of 32 hexadecimal digits; `thread` is empty if the site stores no conversations.
    """

    text: str
    reason: str
    turn: str
    thread: str
    usage: Usage | None
    stored: StoredMessages | None

    def __str__(self) -> str:
        return self.text


def collect(events: Sequence[Event], turn: str, thread: str) -> Answer:
    """Make an answer of all events of a turn. Raises `ChatError` if the turn was not finished."""
    text = "".join(event.text for event in events if isinstance(event, Delta))
    match events[-1] if events else None:
        case Finished(reason=reason, usage=usage, stored=stored):
            return Answer(text=text, reason=reason, turn=turn, thread=thread, usage=usage, stored=stored)
        case Failed(error=error):
            raise error
        case _:
            raise ChatError("The answer was stopped.", code="cancelled", status=409, retryable=True)
