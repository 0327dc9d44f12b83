"""Parse the bytes of a LangServe stream into events (contract section 3). Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderBusy, ProviderError, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Stopped, Usage
from waldur_chat.providers.untrusted import mapping, parse, usage, word
from waldur_chat.wire.sse_decoder import ServerSentEvent, SSEDecoder


class LangServeReader:
    """The parser of one stream: `feed()` it the bytes, then call `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self.done = False
        """Whether the terminal `end` event was received."""

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderError` if the service reports an error."""
        if self.done:
            return
        for event in self._decoder.feed(data):
            if event.name == "end":
                self.done = True
                return
            if event.name == "error":
                raise _failure(event)
            if event.name == "data":
                yield from _read(parse(event.data))

    def finish(self) -> list[ProviderEvent]:
        """The last events, after the end of the bytes. Raises `ProviderIncomplete` if there was no `end` event."""
        last: list[ProviderEvent] = []
        if not self.done:
            # The last event may lack its blank line, or be cut off.
            with suppress(ProviderFailed):
                last = list(self.feed(b"\n\n"))
        if not self.done:
            raise ProviderIncomplete("The stream ended without its `end` event.")
        return last


def _read(chunk: object) -> Iterator[ProviderEvent]:
    """The events of an AIMessageChunk, or of the plain string that a chain with a string parser sends."""
    if isinstance(chunk, str):
        chunk = {"content": chunk}
    if not isinstance(chunk, Mapping):
        return
    if text := _text(chunk.get("content")):
        yield Delta(text=text)
    if used := _usage(chunk):
        yield used
    if reason := word(mapping(chunk.get("response_metadata")).get("finish_reason")):
        yield Stopped(reason=reason)


def _text(content: object) -> str:
    """The text of LangChain's `content`: a string, or a list of parts, some of which have a text."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = (part.get("text") if isinstance(part, Mapping) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    reported = mapping(chunk.get("usage_metadata")) or mapping(
        mapping(chunk.get("additional_kwargs")).get("usage_metadata")
    )
    return usage(reported.get("input_tokens"), reported.get("output_tokens"))


def _failure(event: ServerSentEvent) -> ProviderError:
    status = word(mapping(parse(event.data)).get("status_code"))
    message = f"The service reported an error with status {status or 'unknown'}."
    return ProviderBusy(message) if status in ("429", "503") else ProviderFailed(message)
