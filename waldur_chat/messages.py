"""Questions of users, and the prompts that providers get. Plain Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

Role = Literal["system", "user", "assistant"]
Mode = Literal["", "reload", "edit"]

BYTES_PER_TOKEN = 4
"""Bytes of UTF-8: within a third of the truth for most models and languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A user's question and its conversation; without a thread it starts a new one.

    Without a text the assistant opens the conversation. The mode "reload" repeats the last question; "edit" replaces
    the message `edited`, which must be the last question. With `names`, the id of a thread, the answer becomes the name
    of that thread and nothing else is stored. `metadata` is what a site's own serializer has validated in addition, as
    JSON for the provider; it is not stored.
    """

    text: str | None = field(default=None, repr=False)
    thread: UUID | None = None
    mode: Mode = ""
    edited: UUID | None = None
    names: UUID | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as the model gets it."""

    role: Role
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a turn sends to a provider: the messages, oldest first; the last one is the user's.

    `opens` is true if the user wrote nothing and the assistant opens the conversation. `request_id` may be sent along,
    to find the request in the provider's log; `connect_seconds` is the time limit for connecting, while all others are
    the turn's. `max_output_tokens` is less than the provider's own limit, if any. `metadata` is that of the question.
    """

    messages: tuple[Message, ...]
    opens: bool = False
    request_id: str = ""
    connect_seconds: float = 5.0
    max_output_tokens: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)

    @property
    def question(self) -> str:
        """The text of the last message."""
        return self.messages[-1].text

    @property
    def transcript(self) -> str:
        """All messages in one text, for providers without roles; the roles are named if the assistant has spoken."""
        names = {"system": "", "user": "User: ", "assistant": "Assistant: "}
        if not any(message.role == "assistant" for message in self.messages):
            names["user"] = ""
        return "\n\n".join(names[message.role] + message.text for message in self.messages)


def size_of(text: str) -> int:
    """Return the number of bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def tokens_in(size: int) -> int:
    """Estimate the tokens in a text of so many bytes."""
    return -(-size // BYTES_PER_TOKEN)


def estimated_tokens(text: str) -> int:
    """Estimate the tokens of this text."""
    return tokens_in(size_of(text))
