"""What a provider is asked: messages and the prompt made of them. Plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Role = Literal["system", "user", "assistant"]


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
    connection; all other limits are the turn's own.
    """

    messages: tuple[Message, ...]
    opens: bool = False
    request_id: str = ""
    connect_seconds: float = 5.0

    @property
    def question(self) -> str:
        """The text of the last message, for providers that take one text only."""
        return self.messages[-1].text
