"""Translates the bytes of an OpenAI-compatible stream into events. Owns no socket, and knows the dialects.

Of each `chat.completion.chunk` only the few fields that matter are read, so that a server which leaves others out or
adds its own is understood all the same. Reasoning stands under `reasoning` or `reasoning_content`; usage in the last
chunk, in a chunk of its own without choices, or in every chunk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderBusy, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
from waldur_chat.wire.sse_decoder import SSEDecoder


class ChunkReader:
    """One stream's reader. Feed it bytes, then ask it to `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self._complete = False
        self.done = False
        """Whether the stream has said that nothing follows."""

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderFailed` for what is no such stream."""
        for event in self._decoder.feed(data):
            if self.done:
                return
            if event.data.strip() == b"[DONE]":
                self._complete = self.done = True
            elif event.name == "error":
                raise _failure(_object(event.data))
            elif event.data:
                yield from self._read(_object(event.data))

    def finish(self) -> list[ProviderEvent]:
        """The bytes have ended; the last event may lack its blank line.

        Raises `ProviderIncomplete` unless the answer was said to be complete.
        """
        last: list[ProviderEvent] = []
        if not self.done:
            with suppress(ProviderFailed):
                last = list(self.feed(b"\n\n"))
        if not self._complete:
            raise ProviderIncomplete("The stream ended without [DONE] and without a finish reason.")
        return last

    def _read(self, chunk: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        if chunk.get("error") or chunk.get("object") == "error":
            raise _failure(chunk)
        for choice in _mappings(chunk.get("choices"))[:1]:
            delta = choice.get("delta")
            if isinstance(delta, Mapping):
                yield from _texts(delta)
            if (reason := choice.get("finish_reason")) and isinstance(reason, str):
                self._complete = True
                yield Stopped(reason=reason)
        if usage := _usage(chunk.get("usage")):
            yield usage


def _texts(delta: Mapping[str, Any]) -> Iterator[ProviderEvent]:
    reasoning = delta.get("reasoning") or delta.get("reasoning_content")
    if reasoning and isinstance(reasoning, str):
        yield Reasoning(text=reasoning)
    content = delta.get("content")
    if content and isinstance(content, str):
        yield Delta(text=content)


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("The stream holds an event that is not JSON.") from error
    if not isinstance(chunk, Mapping):
        raise ProviderFailed("The stream holds an event that is not a JSON object.")
    return chunk


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _usage(value: object) -> Usage | None:
    match value:
        case {"prompt_tokens": int() as read, "completion_tokens": int() as written} if read >= 0 and written >= 0:
            return Usage(input_tokens=read, output_tokens=written)
    return None


def _failure(chunk: Mapping[str, Any]) -> ProviderFailed | ProviderBusy:
    """An error in place of a chunk. Its message may quote the prompt or the key, so only its codes go to the log."""
    error = chunk.get("error") or chunk
    fields = error if isinstance(error, Mapping) else {}
    codes = [str(fields[name])[:60] for name in ("type", "code") if isinstance(fields.get(name), (str, int))]
    message = f"The stream holds an error ({', '.join(codes) or 'unnamed'})."
    if {"429", "503", "rate_limit_exceeded", "overloaded_error"} & set(codes):
        return ProviderBusy(message)
    return ProviderFailed(message)
