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
from waldur_chat.providers.chunk_template import END, ChunkTemplate, infer
from waldur_chat.wire.sse_decoder import SSEDecoder

MAX_HELD_BYTES = 8 * 1024
"""Of a chunk that has started to match the template; longer ones are read as they come."""

MAX_CREDIT, INFER_COST = 32, 4
"""Inferring a template costs credit, and each match earns one back: where chunks never match, it is given up."""


class ChunkReader:
    """One stream's reader. Feed it bytes, then ask it to `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._template: ChunkTemplate | None = None
        self._next: ChunkTemplate | None = None
        """The same, where the next bytes may be exactly one chunk, as they nearly always are."""
        self._credit = MAX_CREDIT
        self._held = b""
        self._complete = False
        self.done = False
        """Whether the stream has said that nothing follows."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderFailed` for what is no such stream."""
        if self._next and (event := self._next.match_one(data)):
            if self._credit < MAX_CREDIT:
                self._credit += 1
            return (event,)
        return self._feed(data)

    def _feed(self, data: bytes) -> Iterator[ProviderEvent]:
        data, self._held, self._next = self._held + data, b"", None
        while data and not self.done:
            if not self._decoder.is_between_events:
                size = _size_of_first(data)
            elif found := self._template and self._template.match_many(data):
                self._credit = min(self._credit + 1, MAX_CREDIT)
                event, data = found
                if event.text:
                    yield event
                continue
            elif self._hold(data):
                return
            else:
                size = self._infer(data)
            yield from self._read(data[:size])
            data = data[size:]
        if self._decoder.is_between_events and not self.done:
            self._next = self._template

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

    def _hold(self, data: bytes) -> bool:
        """Keep the start of a chunk that may match the template, until the rest of it has come."""
        if self._template and len(data) <= MAX_HELD_BYTES and END not in data and self._template.may_start(data):
            self._held = data
        return bool(self._held)

    def _infer(self, data: bytes) -> int:
        """Infer the template of the next event; or return how many bytes to read event by event before the next try."""
        self._credit -= INFER_COST
        if self._credit < 0:
            self._template = None
            return len(data)
        size = _size_of_first(data)
        template = infer(data[:size], _events)
        self._template = template or self._template
        return 0 if template else size

    def _read(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events of these bytes, read without the template."""
        for event in self._decoder.feed(data):
            if event.data.strip() == b"[DONE]":
                self._complete = self.done = True
                return
            if event.name == "error":
                raise _failure(_object(event.data))
            for found in _events(event.data) if event.data else ():
                self._complete = self._complete or isinstance(found, Stopped)
                yield found


def _size_of_first(data: bytes) -> int:
    """The size of the first event, or of all where none ends."""
    return data.find(END) + len(END) if END in data else len(data)


def _events(data: bytes) -> list[ProviderEvent]:
    """The events that the data of one server-sent event means."""
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
