"""Translates the bytes of a LangServe stream into events (contract section 3). Owns no socket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderBusy, ProviderError, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Stopped, Usage
from waldur_chat.wire.sse_decoder import ServerSentEvent, SSEDecoder


class LangServeReader:
    """One stream's reader. Feed it bytes, then ask it to `finish()`."""

    def __init__(self) -> None:
        self._decoder = SSEDecoder()
        self.done = False
        """Whether the stream has said that nothing follows."""

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events that the next bytes complete. Raises `ProviderError` where the service reports one."""
        for event in self._decoder.feed(data):
            if event.name == "end":
                self.done = True
            elif event.name == "error":
                raise _failure(event)
            elif event.name == "data":
                yield from _read(_json(event.data))

    def finish(self) -> list[ProviderEvent]:
        """The bytes have ended; the last event may lack its blank line. Raises `ProviderIncomplete` without `end`."""
        last: list[ProviderEvent] = []
        if not self.done:
            with suppress(ProviderFailed):
                last = list(self.feed(b"\n\n"))
        if not self.done:
            raise ProviderIncomplete("The stream ended without its `end` event.")
        return last


def _read(chunk: object) -> Iterator[ProviderEvent]:
    """An AIMessageChunk, or the bare text that a chain with a string parser sends."""
    if isinstance(chunk, str):
        chunk = {"content": chunk}
    if not isinstance(chunk, Mapping):
        return
    if text := _text(chunk.get("content")):
        yield Delta(text=text)
    if usage := _usage(chunk):
        yield usage
    if reason := _mapping(chunk.get("response_metadata")).get("finish_reason"):
        yield Stopped(reason=str(reason))


def _text(content: object) -> str:
    """LangChain's content is a string or a list of parts, of which those with text count."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part if isinstance(part, str) else str(_mapping(part).get("text") or "") for part in parts)


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    reported = _mapping(chunk.get("usage_metadata")) or _mapping(
        _mapping(chunk.get("additional_kwargs")).get("usage_metadata")
    )
    match reported:
        case {"input_tokens": int() as read, "output_tokens": int() as written} if read >= 0 and written >= 0:
            return Usage(input_tokens=read, output_tokens=written)
    return None


def _failure(event: ServerSentEvent) -> ProviderError:
    status = _mapping(_json(event.data)).get("status_code")
    message = f"The service reported an error with status {status}."
    return ProviderBusy(message) if status in (429, 503) else ProviderFailed(message)


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ProviderFailed("The stream holds an event that is not JSON.") from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
