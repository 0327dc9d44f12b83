"""Translates the bytes of an OpenAI-compatible stream into events. Owns no socket, and knows the dialects.

Of each `chat.completion.chunk` only the few fields that matter are read, so that a server which leaves others out or
adds its own is understood all the same. Reasoning stands under `reasoning` or `reasoning_content`; usage in the last
chunk, in a chunk of its own without choices, or in every chunk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderBusy, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped
from waldur_chat.providers import untrusted
from waldur_chat.providers.alike import END, Alike, learn
from waldur_chat.wire.sse_decoder import SSEDecoder

MOST_HELD = 8 * 1024
"""Bytes of a chunk that has begun, and is like those before: longer ones are read as they come."""

PATIENCE, PRICE = 32, 4
"""How often, and at what price, the shape of chunks is learned: each time that it helps, one is earned."""


class ChunkReader:
    """One stream's reader. Feed it bytes, then ask it to `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._alike: Alike | None = None
        self._usual: Alike | None = None
        """The same, where the next bytes may be one such chunk, as they nearly always are."""
        self._patience = PATIENCE
        self._held = b""
        self._complete = False
        self.done = False
        """Whether the stream has said that nothing follows."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderFailed` for what is no such stream."""
        if self._usual and (event := self._usual.only(data)):
            if self._patience < PATIENCE:
                self._patience += 1
            return (event,)
        return self._feed(data)

    def _feed(self, data: bytes) -> Iterator[ProviderEvent]:
        data, self._held, self._usual = self._held + data, b"", None
        while data and not self.done:
            if not self._decoder.is_between_events:
                size = _whole(data)
            elif found := self._alike and self._alike.read(data):
                self._patience = min(self._patience + 1, PATIENCE)
                event, data = found
                if event.text:
                    yield event
                continue
            elif self._holds(data):
                return
            else:
                size = self._learn(data)
            yield from self._read(data[:size])
            data = data[size:]
        if self._decoder.is_between_events and not self.done:
            self._usual = self._alike

    def finish(self) -> list[ProviderEvent]:
        """The bytes have ended; the last event may lack its blank line.

        Raises `ProviderIncomplete` unless the answer was said to be complete.
        """
        last: list[ProviderEvent] = []
        if not self.done:
            with suppress(ProviderFailed):
                last = list(self._read(self._held + END))
        if not self._complete:
            raise ProviderIncomplete("The stream ended without [DONE] and without a finish reason.")
        return last

    def _holds(self, data: bytes) -> bool:
        """Keep the beginning of a chunk that is like those before, until the rest of it has come."""
        if self._alike and len(data) <= MOST_HELD and END not in data and self._alike.begins_in(data):
            self._held = data
        return bool(self._held)

    def _learn(self, data: bytes) -> int:
        """Learn the shape of the next event; or give the bytes that are to be read one by one before it is tried again.

        Where that does not help it is given up.
        """
        self._patience -= PRICE
        if self._patience < 0:
            self._alike = None
            return len(data)
        size = _whole(data)
        learned = learn(data[:size], _meaning)
        self._alike = learned or self._alike
        return 0 if learned else size

    def _read(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events of these bytes, read one by one."""
        for event in self._decoder.feed(data):
            if event.data.strip() == b"[DONE]":
                self._complete = self.done = True
                return
            if event.name == "error":
                raise _failure(_object(event.data))
            for found in _meaning(event.data) if event.data else ():
                self._complete = self._complete or isinstance(found, Stopped)
                yield found


def _whole(data: bytes) -> int:
    """The size of the first event, or of all where none ends."""
    return data.find(END) + len(END) if END in data else len(data)


def _meaning(data: bytes) -> list[ProviderEvent]:
    """What the data of one event says."""
    chunk = _object(data)
    if chunk.get("error") or chunk.get("object") == "error":
        raise _failure(chunk)
    found: list[ProviderEvent] = []
    choice = _first_choice(chunk.get("choices"))
    delta = untrusted.mapping(choice.get("delta"))
    reasoning = delta.get("reasoning") or delta.get("reasoning_content")
    if reasoning and isinstance(reasoning, str):
        found.append(Reasoning(text=reasoning))
    content = delta.get("content")
    if content and isinstance(content, str):
        found.append(Delta(text=content))
    reason = choice.get("finish_reason")
    if reason and isinstance(reason, str):
        found.append(Stopped(reason=untrusted.word(reason)))
    if reported := untrusted.mapping(chunk.get("usage")):
        usage = untrusted.usage(reported.get("prompt_tokens"), reported.get("completion_tokens"))
        found += [usage] if usage else []
    return found


def _object(data: bytes) -> dict[str, Any]:
    chunk = untrusted.parse(data)
    if not isinstance(chunk, dict):
        raise ProviderFailed("The stream holds an event that is not a JSON object.")
    return chunk


def _first_choice(choices: object) -> dict[str, Any]:
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            return choice
    return {}


def _failure(chunk: dict[str, Any]) -> ProviderFailed | ProviderBusy:
    """An error in place of a chunk. Its message may quote the prompt or the key, so only its codes go to the log."""
    fields = untrusted.mapping(chunk.get("error") or chunk)
    codes = [code for name in ("type", "code") if (code := untrusted.word(fields.get(name)))]
    message = f"The stream holds an error ({', '.join(codes) or 'unnamed'})."
    if {"429", "503", "rate_limit_exceeded", "overloaded_error"} & set(codes):
        return ProviderBusy(message)
    return ProviderFailed(message)
