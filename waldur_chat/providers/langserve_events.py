"""Parse the bytes of a LangServe stream into events (contract section 3). Does no I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from waldur_chat.errors import ProviderError, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Stopped, Usage
from waldur_chat.providers.dialects import ends
from waldur_chat.providers.dialects.leading_thoughts import ThoughtSplitter
from waldur_chat.providers.dialects.refusals import refusal_in_stream
from waldur_chat.providers.dialects.texts import content_pieces
from waldur_chat.providers.untrusted import mapping, parse, usage, word
from waldur_chat.wire.sse_decoder import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder


class LangServeReader:
    """The parser of one stream: `feed()` it the bytes, then call `finish()`."""

    def __init__(
        self,
        splitter: ThoughtSplitter | None = None,
        reasons: ends.StopReasons | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self._decoder = SSEDecoder(max_event_bytes)
        self._splitter = splitter or ThoughtSplitter()
        self._reasons = reasons or ends.StopReasons()
        self._reason = ""
        self.done = False
        """Whether the terminal `end` event was received."""

    def feed(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events that the next bytes complete. Raises the `ProviderError` that the service reports."""
        if self.done:
            return
        for event in self._decoder.feed(data):
            if event.name == "end":
                self.done = True
                return
            if event.name == "error":
                raise _failure(event)
            if event.name == "data":
                yield from self._read(parse(event.data))

    def finish(self) -> list[ProviderEvent]:
        """The last events, after the end of the bytes. Raises `ProviderIncomplete` if there was no `end` event."""
        last: list[ProviderEvent] = []
        if not self.done:
            # The last event may lack its blank line, or be cut off.
            with suppress(ProviderFailed):
                last = list(self.feed(b"\n\n"))
        if not self.done:
            raise ProviderIncomplete("The stream ended without its `end` event.")
        if held := self._splitter.flush():
            last += [*held, *([Stopped(reason=self._reason)] if self._reason else [])]
        return last

    def _read(self, chunk: object) -> Iterator[ProviderEvent]:
        """The events of an AIMessageChunk, or of the plain string that a chain with a string parser sends."""
        if isinstance(chunk, str):
            chunk = {"content": chunk}
        if not isinstance(chunk, Mapping):
            return
        for piece in content_pieces(chunk.get("content")):
            self._reason = ""
            yield from self._splitter.feed(piece.text) if isinstance(piece, Delta) else (piece,)
        if used := _usage(chunk):
            yield used
        if reason := self._stop_reason(chunk):
            self._reason = reason
            yield Stopped(reason=reason)

    def _stop_reason(self, chunk: Mapping[str, Any]) -> str:
        metadata = mapping(chunk.get("response_metadata"))
        reason = self._reasons.meaning(word(metadata.get("finish_reason") or metadata.get("stop_reason")))
        if reason == ends.ERROR:
            raise refusal_in_stream({"code": reason})
        return reason


def _usage(chunk: Mapping[str, Any]) -> Usage | None:
    reported = mapping(chunk.get("usage_metadata")) or mapping(
        mapping(chunk.get("additional_kwargs")).get("usage_metadata")
    )
    return usage(reported.get("input_tokens"), reported.get("output_tokens"), reported.get("total_tokens"))


def _failure(event: ServerSentEvent) -> ProviderError:
    """The error of an `error` event: its status and its message are those of LangServe's HTTPException."""
    try:
        return refusal_in_stream(parse(event.data))
    except ProviderFailed:
        return refusal_in_stream(None)
