"""The decoder of server-sent events, independent of where the bytes are cut.

It follows https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation, with one
addition: an event with a name and without data is returned as well, since LangServe ends its streams with one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from waldur_chat.errors import ProviderFailed

BYTES_PER_CHARACTER = 12
"""The most bytes of one character in JSON: two escapes, as `\\ud83d\\ude42`."""

SURROUNDING_BYTES = 1024 * 1024
"""What an event may hold beside a text: sources, probabilities of tokens, and other fields that are not read."""


def event_limit(characters: int) -> int:
    """The limit on what is buffered of one event in whose text there may be so many characters."""
    return characters * BYTES_PER_CHARACTER + SURROUNDING_BYTES


MAX_EVENT_BYTES = event_limit(0)
"""The limit on what is buffered of one event: its data lines, its name, and the line that has not ended."""

MAX_DIGITS = 9
"""The digits of a retry time that are read: `int()` of a very long number is slow."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DATA, _END = b"data: ", b"\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event: its name ("message" where none was given) and its data lines, joined by line feeds."""

    name: str
    data: bytes


class SSEDecoder:
    """Collects bytes and returns complete events. As in the standard, an event without its blank line is dropped.

    `last_id` is the id of the last event, `retry` the time in milliseconds after which readers should reconnect; None
    if the stream has set none. An event has at most `max_bytes`.
    """

    def __init__(self, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self.last_id = ""
        self.retry: int | None = None
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._after_return = False
        self._started = False
        self._name = ""
        self._data = bytearray()
        self._has_data = False
        self._size = 0

    @property
    def is_between_events(self) -> bool:
        """Whether no part of an event is buffered, so that another parser may read the next one."""
        return not (self._rest or self._has_data or self._name or self._after_return)

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """Decode the next bytes, and yield the events that they complete.

        Raises `ProviderFailed` for an event of more than `max_bytes`.
        """
        if self._is_single_event(chunk):
            self._started = True
            yield ServerSentEvent(name="message", data=chunk[len(_DATA) : -len(_END)])
            return
        # A carriage return ends its line at once; the line feed that may follow in the next bytes belongs to it.
        text = chunk.removeprefix(b"\n") if self._after_return else chunk
        self._after_return = chunk.endswith(b"\r") if chunk else self._after_return
        lines = text.splitlines()
        rest = lines.pop() if lines and not text.endswith((b"\n", b"\r")) else b""
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        for line in lines:
            if self._size + len(line) > self._max_bytes:
                raise _too_large()
            if event := self._take(line):
                yield event
        self._rest += rest
        if self._size + len(self._rest) > self._max_bytes:
            raise _too_large()

    def _is_single_event(self, chunk: bytes) -> bool:
        """Whether the chunk is one event with a single data line. Most are, and need no parsing."""
        return (
            len(chunk) <= self._max_bytes
            and chunk.startswith(_DATA)
            and chunk.find(b"\n") == len(chunk) - len(_END)
            and chunk.endswith(_END)
            and b"\r" not in chunk
            and self.is_between_events
        )

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if not self._started:
            self._started = True
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        value = value[1:] if value.startswith(b" ") else value
        if field == b"data":
            # Not a list of lines: as objects, many short ones would take a multiple of their bytes.
            self._data += value + b"\n"
            self._has_data = True
            self._size += len(line)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
            self._size += len(line)
        elif field == b"id" and b"\0" not in value:
            self.last_id = value.decode("utf-8", "replace")
        elif field == b"retry" and value.isdigit():
            self.retry = int(value[:MAX_DIGITS])
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        name, data, has_data = self._name, self._data, self._has_data
        self._name, self._data, self._has_data, self._size = "", bytearray(), False, 0
        return ServerSentEvent(name=name or "message", data=bytes(data[:-1])) if name or has_data else None


def _too_large() -> ProviderFailed:
    return ProviderFailed("The provider sent an endless event.")
