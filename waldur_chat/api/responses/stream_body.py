"""The body of a stream: the events of a turn, encoded as they arrive.

Django buffers an async body under WSGI and a sync one under ASGI, so there are two: `AsyncBody` runs on the event loop
of the turn, `SyncBody` in the thread of the request. Closing a body tells the turn that its reader has left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import django
from django.http import StreamingHttpResponse

from waldur_chat.asgi.release_thread import release_request_thread
from waldur_chat.conf import Settings
from waldur_chat.engine.event_source import EventSource
from waldur_chat.errors import ServerStopping
from waldur_chat.events import Delta, Event, Reasoning, Terminal
from waldur_chat.runtime.connections import release_connections
from waldur_chat.wire.base import Encoder

POLL_SECONDS = 1.0
"""How often a waiting thread checks, under WSGI, whether its client has disconnected."""


class Body:
    """What both bodies have in common: encoding, and closing the source."""

    def __init__(self, source: EventSource, encoder: Encoder, settings: Settings) -> None:
        self.source: EventSource | None = source
        """None after the terminal event: Django leaves the body, and with it the answer, to the garbage collector."""
        self.encoder = encoder
        self.settings = settings
        self._position = source.position
        self._has_skipped = False

    def encode(self, events: list[Event]) -> bytes:
        """The bytes of these events in one chunk, since each chunk costs a write."""
        chunk = self._encode(events[0]) if len(events) == 1 else b"".join(map(self._encode, events))
        if events and isinstance(events[-1], Terminal):
            self.close()
        return chunk

    def close(self) -> None:
        """Notify the turn that its reader has left. Called by Django from any thread."""
        source, self.source = self.source, None
        if source:
            source.close()

    def __del__(self) -> None:
        """Close the source of a response that Django has dropped unsent, and therefore not closed."""
        self.close()

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, Reasoning) and not self.settings.show_reasoning:
            return b""
        if isinstance(event, Delta):
            if self._position and not self._has_skipped:
                assert self.source is not None  # The event is from it.
                self.encoder.skip(self.source.text_before_position())
            self._has_skipped = True
            self._position += len(event.text)
        return self.encoder.encode(self._position, event)


class AsyncBody(Body):
    """The body under ASGI, iterated on the event loop of the turn."""

    _has_started = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def aclose(self) -> None:
        """Close the source. Called when the client has disconnected, as on an async generator."""
        self.close()

    async def __anext__(self) -> bytes:
        if not self._has_started:
            self._has_started = True
            self._close_with_task()
            # Middleware may have used the database after the view.
            await release_request_thread()
        # The deadline is kept across events that are not shown: for the client these are silence.
        left = self.settings.heartbeat_seconds
        keep_alive_at = time.monotonic() + left
        while self.source:
            if left <= 0:
                keep_alive_at += self.settings.heartbeat_seconds
                if self.encoder.keep_alive:
                    return self.encoder.keep_alive
            else:
                try:
                    events = await self.source.take(left)
                except ServerStopping:  # Without a terminal event, so that the reader resumes in another process.
                    break
                if chunk := self.encode(events):
                    return chunk
            left = keep_alive_at - time.monotonic()
        raise StopAsyncIteration

    def _close_with_task(self) -> None:
        """Close the body when the request is cancelled while it is sent, which Django 4.2 does not do.

        To be removed with the support of 4.2. No upstream issue was found (November 2026).
        """
        task = asyncio.current_task()
        if task and django.VERSION < (5, 0):
            task.add_done_callback(lambda _: self.close())


class SyncBody(Body):
    """The body under WSGI, iterated in the thread of the request. `has_hung_up` tells of a client that has left."""

    def __init__(
        self, source: EventSource, encoder: Encoder, settings: Settings, has_hung_up: Callable[[], bool]
    ) -> None:
        super().__init__(source, encoder, settings)
        self._has_hung_up = has_hung_up

    def __iter__(self) -> SyncBody:
        return self

    def __next__(self) -> bytes:
        # Only the second write after a disconnect fails, so a keep-alive is sent twice as often as under ASGI.
        keep_alive_at = time.monotonic() + self.settings.heartbeat_seconds / 2
        while self.source:
            if self._has_hung_up():
                self.source.close()
                # A turn that ends with its reader still sends its last event: a client may have closed one direction.
                if not self.source.ends_with_reader:
                    break
            left = keep_alive_at - time.monotonic()
            if left <= 0:
                keep_alive_at += self.settings.heartbeat_seconds / 2
                if self.encoder.keep_alive:
                    return self.encoder.keep_alive
            else:
                try:
                    events = self.source.take_blocking(min(left, POLL_SECONDS))
                except ServerStopping:  # See AsyncBody.
                    break
                if chunk := self.encode(events):
                    return chunk
        raise StopIteration


class StreamResponse(StreamingHttpResponse):
    """A response that proxies must not cache, compress or buffer, and whose body is closed when its reader leaves."""

    def __init__(self, body: AsyncBody | SyncBody) -> None:
        content_type = body.encoder.media_type
        if content_type.startswith("text/plain"):
            content_type += "; charset=utf-8"
        headers = {
            "Cache-Control": "no-cache, no-transform",
            "Content-Encoding": "identity",
            "Vary": "Accept",
            "X-Accel-Buffering": "no",
        }
        super().__init__(body, content_type=content_type, headers=headers)
        self._body = body

    @property
    def streaming_content(self) -> Any:
        """The content to be sent, which middleware may wrap (GZipMiddleware) by setting it."""
        return super().streaming_content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._content = value
        base: Any = StreamingHttpResponse.streaming_content  # `super()` has no setter for a property.
        base.fset(self, value)

    def __iter__(self) -> Iterator[bytes]:
        """Release the database connections first: middleware may have used them after the view."""
        release_connections()
        return super().__iter__()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body itself, unless middleware has wrapped it: one more generator would slow every token down."""
        if self._content is self._body:
            assert isinstance(self._body, AsyncBody)  # Django calls this under ASGI only.
            return self._body
        return self._closing(super().__aiter__())

    async def _closing(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Close the body when its reader leaves, which Django does not do for a wrapped one.

        Concerns Django 4.2 to 6.1. No upstream issue was found (November 2026).
        """
        try:
            async for chunk in chunks:
                yield chunk
        finally:
            self._body.close()
