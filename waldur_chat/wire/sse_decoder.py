"""Reads server-sent events from bytes, however these are cut.

The rules are those of https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation,
without ids and retry times, which no provider's stream needs, and with one addition: an event that has a name but no
data is given too, since LangServe ends its streams with one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from waldur_chat.errors import ProviderFailed

MAX_LINE_BYTES = 1024 * 1024

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event: its name ("message" where none was given) and its data lines, joined by line feeds."""

    name: str
    data: bytes


class SSEDecoder:
    """Collects bytes and gives whole events. An event that no blank line ended is never given, as the standard asks."""

    def __init__(self) -> None:
        self._rest = b""
        self._after_return = False
        self._begun = False
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; give the events that they complete.

        A line longer than `MAX_LINE_BYTES` raises `ProviderFailed`: nobody sends tokens of that size.
        """
        # A carriage return ends its line at once; the line feed that may follow in the next bytes belongs to it.
        lines = _LINE_END.split(chunk.removeprefix(b"\n") if self._after_return else chunk)
        self._after_return = chunk.endswith(b"\r") if chunk else self._after_return
        lines[0] = self._rest + lines[0]
        self._rest = lines.pop()
        if len(self._rest) > MAX_LINE_BYTES:
            raise ProviderFailed("The provider sent an endless line.")
        return [event for line in lines if (event := self._take(line))]

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        return ServerSentEvent(name=name or "message", data=b"\n".join(data)) if name or data else None
