"""The requests of this API as values, without I/O."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TypedDict
from urllib.parse import quote
from uuid import UUID, uuid4

from waldur_chat.client.retry import Limits


class QuestionOptions(TypedDict, total=False):
    """Options of a question.

    `thread` is the conversation to continue. In it, `edit` is the user message that the text replaces; `reload` asks
    the last question again, and ignores the text. Questions with the same `key`, of at most 255 characters, lead to the
    same turn; by default each question has a new key.
    """

    thread: str | UUID | None
    edit: str | UUID | None
    reload: bool
    key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, with its limits on connecting and on silence afterwards."""

    method: str
    url: str
    headers: dict[str, str]
    connect_seconds: float
    silence_seconds: float
    content: bytes | None = None


class RequestBuilder:
    """Builds the requests to one site. `address` is the part of the URL before the `prefix` of its chat API.

    Raises `ValueError` if the address is not an HTTP URL.
    """

    def __init__(self, address: str, token: str, prefix: str, limits: Limits) -> None:
        if not address.startswith(("http://", "https://")):
            raise ValueError(f"An address begins with http:// or https://; this one does not: {address!r}")
        self._base = f"{address.rstrip('/')}/{prefix}"
        self._headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Token {token}"
        self._limits = limits

    def ask(
        self,
        text: str,
        *,
        thread: str | UUID | None = None,
        edit: str | UUID | None = None,
        reload: bool = False,
        key: str | None = None,
    ) -> Request:
        """Ask a question, and stream the answer; the arguments are those of `QuestionOptions`."""
        mode = "edit" if edit else "reload" if reload else None
        fields = {"input": text, "thread_uuid": thread, "mode": mode, "edit_message_uuid": edit}
        body = {name: str(value) for name, value in fields.items() if value is not None}
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or uuid4().hex}
        return Request(
            method="POST",
            url=f"{self._base}/stream/",
            headers={**self._headers, **headers},
            content=json.dumps(body).encode(),
            connect_seconds=self._limits.connect_seconds,
            silence_seconds=self._limits.first_event_seconds,
        )

    def events(self, turn: str, position: int) -> Request:
        """Resume a turn after this many characters of its answer."""
        return Request(
            method="GET",
            url=f"{self._base}/turns/{quote(turn, safe='')}/events/",
            headers={**self._headers, "Last-Event-ID": str(position)},
            connect_seconds=self._limits.connect_seconds,
            silence_seconds=self._limits.silence_seconds,
        )

    def cancel(self, thread: str) -> Request:
        """Cancel the running turn of a conversation."""
        return Request(
            method="POST",
            url=f"{self._base}-threads/{quote(thread, safe='')}/cancel/",
            headers=self._headers,
            connect_seconds=self._limits.connect_seconds,
            silence_seconds=self._limits.silence_seconds,
        )
