"""Parse the bytes of an OpenAI-compatible stream into events, in all its dialects. Does no I/O.

What chunks may say is in `dialects`; here is what matters between them: which text is new, whether the answer is
complete, and which bytes need not be parsed one by one. A body that is a JSON object instead of a stream is read too:
some services ignore that a stream was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from waldur_chat.errors import ProviderFailed, ProviderIncomplete
from waldur_chat.events import COMPLETE, LENGTH, Delta, ProviderEvent, Stopped
from waldur_chat.providers.chunk_template import END, ChunkTemplate, infer
from waldur_chat.providers.dialects.call_reader import CALL_REASONS, CallReader, PromptTools
from waldur_chat.providers.dialects.chunks import Chunk, chunk_of, json_object, read_chunk
from waldur_chat.providers.dialects.ends import StopReasons
from waldur_chat.providers.dialects.leading_thoughts import ThoughtSplitter
from waldur_chat.providers.dialects.refusals import refusal_in_stream
from waldur_chat.providers.dialects.texts import Piece
from waldur_chat.providers.dialects.told_pieces import ToldPieces
from waldur_chat.wire.sse_decoder import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder

MAX_HELD_BYTES = 8 * 1024
"""The limit on a held chunk that has started to match the template. Longer ones are parsed at once."""

MAX_CREDIT, INFER_COST = 32, 4
"""Inferring a template costs credit, and each match earns one. Streams whose chunks never match run out of it."""


class ChunkReader:
    """The parser of one stream: `feed()` it the bytes, then call `finish()`.

    Calls are read only if the prompt offers `tools`; otherwise they are nothing.
    """

    def __init__(
        self,
        splitter: ThoughtSplitter | None = None,
        reasons: StopReasons | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
        tools: PromptTools | None = None,
    ) -> None:
        self._decoder = SSEDecoder(max_event_bytes)
        self._max_bytes = max_event_bytes
        self._splitter = splitter or ThoughtSplitter()
        self._reasons = reasons or StopReasons()
        self._calls = CallReader(tools, max_event_bytes) if tools else None
        self._template: ChunkTemplate | None = None
        self._next: ChunkTemplate | None = None
        """The template while the parser is between events: then the next bytes nearly always are exactly one chunk."""
        self._credit = MAX_CREDIT
        self._held = b""
        self._has_begun = False
        self._body: bytearray | None = None
        """The bytes so far of a body that is no stream."""
        self._told = ToldPieces()
        self._reason = ""
        """The stop reason, while no text follows it."""
        self._is_marked = False
        """Whether `[DONE]` was received."""
        self.done = False
        """Whether nothing more needs to be read."""

    def feed(self, data: bytes) -> Iterable[ProviderEvent]:
        """The events that the next bytes complete.

        Raises `ProviderFailed` for invalid data, and the error that the service reports.
        """
        if self._next and (event := self._next.match_one(data)):
            if self._credit < MAX_CREDIT:
                self._credit += 1
            return (event,)
        return self._feed(data)

    def finish(self) -> list[ProviderEvent]:
        """The last events, after the end of the bytes.

        Raises `ProviderIncomplete` if there was neither `[DONE]` nor a finish reason, and `ProviderFailed` for calls
        that cannot be put together.
        """
        last: list[ProviderEvent] = []
        if self._body is not None:
            last = list(self._read_body(bytes(self._body)))
        elif not self.done:
            # The last event may lack its blank line, or be cut off.
            with suppress(ProviderFailed):
                last = list(self._read(self._held + END))
        if not (self._is_marked or self._reason):
            raise ProviderIncomplete("The stream ended without [DONE] and without a finish reason.")
        held = list(self._passed(self._splitter.flush(is_complete=self._reason != LENGTH)))
        if self._calls:
            held += self._calls.tell(self._reason, is_end=True)
        if held:
            last += held
            # What was held back belongs before the end.
            last += [Stopped(reason=self._reason)] if self._reason else []
        return last

    def _feed(self, data: bytes) -> Iterator[ProviderEvent]:
        if not self._has_begun and not (data := self._begin(data)):
            return
        if self._body is not None:
            self._keep(data)
            return
        data, self._held, self._next = self._held + data, b"", None
        while data and not self.done:
            if not self._decoder.is_between_events:
                size = _size_of_first(data)
            elif match := self._template and self._template.match_many(data):
                self._credit = min(self._credit + 1, MAX_CREDIT)
                event, data = match
                if event.text:
                    self._told.note(event)
                    yield from self._take_piece(event)
                continue
            elif self._hold(data):
                return
            else:
                size = self._infer(data)
            yield from self._read(data[:size])
            data = data[size:]
        if self._decoder.is_between_events and not self.done and not self._reason and self._is_transparent:
            self._next = self._template

    @property
    def _is_transparent(self) -> bool:
        return self._splitter.is_transparent and (self._calls is None or self._calls.is_transparent)

    def _begin(self, data: bytes) -> bytes:
        """Find out whether the body is a stream. Line feeds before it say nothing, and are left out."""
        data = data.lstrip(b"\r\n")
        self._has_begun = bool(data)
        if data[:1] in (b"{", b"["):
            self._body = bytearray()
        return data

    def _keep(self, data: bytes) -> None:
        assert self._body is not None
        self._body += data
        if len(self._body) > self._max_bytes:
            raise ProviderFailed("The provider sent an endless body.")

    def _read_body(self, body: bytes) -> Iterator[ProviderEvent]:
        """The events of a whole answer. One that was cut off is incomplete."""
        try:
            chunk = json_object(body)
        except ProviderFailed:
            return
        answer = chunk_of(chunk)
        yield from self._take(answer)
        calls = (answer.calls or answer.whole_calls) if self._calls else []
        self._is_marked = bool(answer.message or answer.new or calls)

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
        template = infer(data[:size], read_chunk)
        self._template = template or self._template
        if self._calls and template:
            self._calls.reasoning_key = template.reasoning_key or self._calls.reasoning_key
        return 0 if template else size

    def _read(self, data: bytes) -> Iterator[ProviderEvent]:
        """The events of these bytes, parsed without the template."""
        decoded = self._decoder.feed(data)
        while event := self._next_event(decoded):
            if event.data.strip() == b"[DONE]":
                self._is_marked = self.done = True
                return
            if chunk := self._parse(event):
                yield from self._take(chunk)

    def _next_event(self, decoded: Iterator[ServerSentEvent]) -> ServerSentEvent | None:
        """The next event; None without one. What is endless after the end of the answer is not waited for."""
        try:
            return next(decoded, None)
        except ProviderFailed:
            if not self._reason:
                raise
            self.done = True
            return None

    def _parse(self, event: ServerSentEvent) -> Chunk | None:
        """The chunk in an event; None without one. Metadata that is malformed costs no answer."""
        if not event.data.strip():
            return None
        try:
            chunk = json_object(event.data)
        except ProviderFailed:
            if event.name == "error":
                raise refusal_in_stream(event.data.decode(errors="replace")) from None
            if self._reason or event.name != "message":
                return None
            raise
        if event.name == "error":
            raise refusal_in_stream(chunk)
        return chunk_of(chunk)

    def _take(self, chunk: Chunk) -> Iterator[ProviderEvent]:
        self._told.note(*chunk.new)
        pieces = chunk.new or self._told.new_in_message(chunk)
        for piece in pieces:
            yield from self._take_piece(piece)
        if self._calls:
            for event in self._calls.read(chunk):
                self._reason = ""
                yield event
        if reason := self._meaning(chunk.reason):
            if not pieces:
                yield from self._flush(reason)
            self._reason = reason
            yield Stopped(reason=reason)
        if chunk.usage:
            yield chunk.usage

    def _take_piece(self, piece: Piece) -> Iterable[ProviderEvent]:
        self._reason = ""
        return self._passed(self._splitter.feed(piece.text)) if isinstance(piece, Delta) else (piece,)

    def _passed(self, events: Iterable[ProviderEvent]) -> Iterable[ProviderEvent]:
        return self._calls.pass_on(events) if self._calls else events

    def _flush(self, reason: str) -> Iterator[ProviderEvent]:
        """What is held back and is told before this reason."""
        yield from self._passed(self._splitter.flush(is_complete=reason != LENGTH))
        if self._calls:
            yield from self._calls.tell(reason, is_end=False)

    def _meaning(self, word: str) -> str:
        return COMPLETE if self._calls and word.casefold() in CALL_REASONS else self._reasons.meaning(word)


def _size_of_first(data: bytes) -> int:
    """The size of the first event, or of all data if no event ends in it."""
    return data.find(END) + len(END) if END in data else len(data)
