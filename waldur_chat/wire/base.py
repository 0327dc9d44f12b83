"""The base class of encoders, and the compact JSON that the formats share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from typing import ClassVar

from waldur_chat.errors import ChatError
from waldur_chat.events import Event, StoredMessages, ToolAnswered, ToolCalled, Usage, Warned

# ASCII only, so that no reader that splits at U+0085, U+2028 or U+2029 can cut a payload in two.
_compact = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


class Encoder(ABC):
    """Encodes the events of one turn in one format.

    `translate` translates the sentences of errors and warnings into the reader's language; `notice`, in that language
    already, tells them that an AI system writes the answer.
    """

    media_type: ClassVar[str]
    keep_alive: ClassVar[bytes] = b""
    """Bytes that are sent during a silence to keep the connection open; empty if the format has none."""

    def __init__(self, translate: Callable[[str], str] = str, notice: str = "") -> None:
        self._translate = translate
        self._notice = notice

    def sentence(self, error: ChatError) -> str:
        """The error's sentence for the reader, in their language."""
        return error.told(self._translate)

    def warning(self, warned: Warned) -> str:
        """The warning's sentence for the reader, in their language."""
        return self._translate(warned.text)

    def marking(self) -> dict[str, object]:
        """The fields of the first event that mark the answer as that of an AI system."""
        return {"ai_generated": True, "notice": self._notice} if self._notice else {"ai_generated": True}

    def skip(self, text: str) -> None:
        """Skip the start of the answer, which the reader has already. Only formats with state need it."""
        return

    @abstractmethod
    def encode(self, position: int, event: Event) -> bytes:
        """The bytes of one event; empty if the format does not show it.

        `position` is how many characters of the answer the reader has with this event.
        """


def stored_fields(stored: StoredMessages | None) -> dict[str, str]:
    """The ids of the messages that the turn has stored; empty without any."""
    if stored is None:
        return {}
    fields = {"user_message_uuid": stored.question, "assistant_message_uuid": stored.answer}
    return {name: uuid for name, uuid in fields.items() if uuid}


def quoted(text: str) -> bytes:
    """A JSON string, as `dump()` writes it, in a tenth of the time: this runs for every token."""
    return encode_basestring_ascii(text).encode("ascii")


def dump(payload: object) -> bytes:
    """Compact JSON in one line of ASCII."""
    return _compact.encode(payload).encode("ascii")


def usage_fields(usage: Usage | None) -> dict[str, int]:
    """The token counts, with the names that old and current clients read; empty if nothing was used."""
    if usage is None:
        return {}
    fields = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    return {**fields, "estimated": True} if usage.estimated else fields


def call_fields(called: ToolCalled) -> dict[str, object]:
    """A call of a tool. `approval` is "needed" where it waits for its user, until `expires`, and has `origins` then."""
    fields: dict[str, object] = {
        "call_uuid": called.call_uuid,
        "tool": called.tool,
        "arguments": called.arguments,
        "approval": called.approval or None,
        "expires": called.expires.isoformat() if called.expires else None,
    }
    return {**fields, "origins": called.origins} if called.origins else fields


def result_fields(answered: ToolAnswered) -> dict[str, object]:
    """How a call of a tool ended."""
    names = {"call_uuid": answered.call_uuid, "tool": answered.tool}
    return {**names, "outcome": answered.outcome, "summary": answered.summary}


def shown_fields(answered: ToolAnswered) -> dict[str, object]:
    """What a page shows of the result, in the field `block`; empty for nothing."""
    return {"block": answered.block} if answered.block else {}
