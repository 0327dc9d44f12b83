"""Parse the bytes of an OpenAI-compatible stream into events, in all its dialects. Does no I/O.

Only a few fields of each `chat.completion.chunk` are read, so that servers may omit others or add their own. Reasoning
is in `reasoning` or `reasoning_content`; usage is in the last chunk, in a separate one without choices, or in every
chunk.
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
"""The limit on a held chunk that has started to match the template. Longer ones are parsed at once."""

MAX_CREDIT, INFER_COST = 32, 4
"""Inferring a template costs credit, and each match earns one. Streams whose chunks never match run out of it."""


class ChunkReader:
    """The parser of one stream: `feed()` it the bytes, then call `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._template: ChunkTemplate | None = None
        self._next: ChunkTemplate | None = None
        """The template while the parser is between events: then the next bytes nearly always are exactly one chunk."""
        self._credit = MAX_CREDIT
        self._held = b""
        self._complete = False
        self.done = False
        """Whether `[DONE]` was received."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderFailed` for invalid data or a reported error."""
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
            elif match := self._template and self._template.match_many(data):
                self._credit = min(self._credit + 1, MAX_CREDIT)
                event, data = match
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
        """The last events, after the end of the bytes.

        Raises `ProviderIncomplete` if there was neither `[DONE]` nor a finish reason.
        """
        last: list[ProviderEvent] = []
        if not self.done:
            # The last event may lack its blank line, or be cut off.
            with suppress(ProviderFailed):
                last = list(self._read(self._held + END))
        if not self._complete:
            raise ProviderIncomplete("The stream ended without [DONE] and without a finish reason.")
        return last

    def _hold(self, data: bytes) -> bool:
        """Hold the start of a chunk that may match the template, until the rest arrives. Return whether it does."""
        if self._template and len(data) <= MAX_HELD_BYTES and END not in data and self._template.may_start(data):
            self._held = data
        return bool(self._held)

    def _infer(self, data: bytes) -> int:
        """Infer the template from the next event.

        Returns how many bytes to parse without a template before the next attempt; 0 if there is one now.
        """
        self._credit -= INFER_COST
        if self._credit < 0:
            self._template = None
            return len(data)
        size = _size_of_first(data)
        template = infer(data[:size], _events)
        self._template = template or self._template
        return 0 if template else size

    def _read(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events of these bytes, parsed without the template."""
        for event in self._decoder.feed(data):
            if event.data.strip() == b"[DONE]":
                self._complete = self.done = True
                return
            if event.name == "error":
                raise _failure(_object(event.data))
            for parsed in _events(event.data) if event.data else ():
                self._complete = self._complete or isinstance(parsed, Stopped)
                yield parsed


def _size_of_first(data: bytes) -> int:
    """The size of the first event, or of all data if no event ends in it."""
    return data.find(END) + len(END) if END in data else len(data)


def _events(data: bytes) -> list[ProviderEvent]:
    """The events in the data of one server-sent event."""
    chunk = _object(data)
    if chunk.get("error") or chunk.get("object") == "error":
        raise _failure(chunk)
    events: list[ProviderEvent] = []
    choice = _first_choice(chunk.get("choices"))
    delta = untrusted.mapping(choice.get("delta"))
    reasoning = delta.get("reasoning") or delta.get("reasoning_content")
    if reasoning and isinstance(reasoning, str):
        events.append(Reasoning(text=reasoning))
    content = delta.get("content")
    if content and isinstance(content, str):
        events.append(Delta(text=content))
    reason = choice.get("finish_reason")
    if reason and isinstance(reason, str):
        events.append(Stopped(reason=untrusted.word(reason)))
    if reported := untrusted.mapping(chunk.get("usage")):
        usage = untrusted.usage(reported.get("prompt_tokens"), reported.get("completion_tokens"))
        events += [usage] if usage else []
    return events


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
    """The error that a service sends in place of a chunk.

    Its message may quote the prompt or the key, so only its codes are logged.
    """
    fields = untrusted.mapping(chunk.get("error") or chunk)
    codes = [code for name in ("type", "code") if (code := untrusted.word(fields.get(name)))]
    message = f"The stream holds an error ({', '.join(codes) or 'unnamed'})."
    if {"429", "503", "rate_limit_exceeded", "overloaded_error"} & set(codes):
        return ProviderBusy(message)
    return ProviderFailed(message)
