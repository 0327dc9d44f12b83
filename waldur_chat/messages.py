"""What is asked: a user's question, and the messages and the prompt that a provider gets. Plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Role = Literal["system", "user", "assistant"]
Mode = Literal["", "reload", "edit"]

BYTES_PER_TOKEN = 4
"""Of UTF-8: right within a third for most models and languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a user asks, and of which conversation; without a thread he begins a new one.

    No text means that the assistant opens the conversation. The mode "reload" asks the last question again, "edit" puts
    this text in the place of the message `edited`, which is the last question too. With `names`, a thread, nothing is
    stored but the answer as the name of that one.
    """

    text: str | None = field(default=None, repr=False)
    thread: UUID | None = None
    mode: Mode = ""
    edited: UUID | None = None
    names: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as a model sees it."""

    role: Role
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a turn asks a provider: the messages, oldest first; the last one is the user's.

    `opens` is true where the user wrote nothing and the assistant is asked to open the conversation. `request_id` is
    what the provider may be told to find the request in its own log, and `connect_seconds` the time it has to take a
    connection; all other limits are the turn's own. `max_output_tokens` is less than the provider's own limit, if any.
    """

    messages: tuple[Message, ...]
    opens: bool = False
    request_id: str = ""
    connect_seconds: float = 5.0
    max_output_tokens: int | None = None

    @property
    def question(self) -> str:
        """The text of the last message."""
        return self.messages[-1].text

    @property
    def transcript(self) -> str:
        """All in one text, for providers that take no more; who said what is told where more than one spoke."""
        names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
        if not any(message.role == "assistant" for message in self.messages):
            names["user"] = ""
        return "\n\n".join(names[message.role] + message.text for message in self.messages)


def size_of(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def tokens_in(size: int) -> int:
    """A guess at the tokens in a text of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def estimated_tokens(text: str) -> int:
    """A guess at the tokens of this text."""
    return tokens_in(size_of(text))
