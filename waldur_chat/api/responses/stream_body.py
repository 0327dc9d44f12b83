"""The body of a stream: a turn's events, encoded as they come.

It has two colours, since Django buffers a body of the wrong one: `AsyncBody` under ASGI, on the event loop of the turn,
and `SyncBody` under WSGI, in the request's thread. Whatever ends a body ends its turn.
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
"""How often a thread that waits under WSGI looks after its client."""


class Body:
    """What both colours do: encode, and end the turn."""

    def __init__(self, source: EventSource, encoder: Encoder, settings: Settings) -> None:
        self.source: EventSource | None = source
        """None once it has said everything: Django leaves a body to the garbage collector, and with it the answer."""
        self.encoder = encoder
        self.settings = settings
        self._position = source.position
        self._has_skipped = False

    def encode(self, events: list[Event]) -> bytes:
        """The bytes of these events in one piece: what came together leaves together."""
        piece = self._encode(events[0]) if len(events) == 1 else b"".join(map(self._encode, events))
        if events and isinstance(events[-1], Terminal):
            self.close()
        return piece

    def close(self) -> None:
        """Tell the turn that its reader has gone. Called by Django from any thread."""
        source, self.source = self.source, None
        if source:
            source.close()

    def __del__(self) -> None:
        """A response that was dropped before it was sent is closed by nobody."""
        self.close()

    def _encode(self, event: Event) -> bytes:
        if isinstance(event, Reasoning) and not self.settings.show_reasoning:
            return b""
        if isinstance(event, Delta):
            if self._position and not self._has_skipped:
                assert self.source is not None  # It has said this.
                self.encoder.skip(self.source.text_before_position())
            self._has_skipped = True
            self._position += len(event.text)
        return self.encoder.encode(self._position, event)


class AsyncBody(Body):
    """Iterated on the event loop of the turn."""

    _has_begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def aclose(self) -> None:
        """See close(). Django asks for this when the reader has left, as of a generator."""
        self.close()

    async def __anext__(self) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            self._close_with_its_task()
            await release_request_thread()  # What middleware asked of the database after the view is over now.
        # Events that are not shown are silence too.
        left = self.settings.heartbeat_seconds
        heartbeat_at = time.monotonic() + left
        while self.source:
            if left <= 0:
                heartbeat_at += self.settings.heartbeat_seconds
                if self.encoder.heartbeat:
                    return self.encoder.heartbeat
            else:
                try:
                    events = await self.source.take(left)
                except ServerStopping:  # Its reader comes back, to another process.
                    break
                if piece := self.encode(events):
                    return piece
            left = heartbeat_at - time.monotonic()
        raise StopAsyncIteration

    def _close_with_its_task(self) -> None:
        """Django 4.2 closes no body when its request is cancelled while it sends; to be removed with its support."""
        task = asyncio.current_task()
        if task and django.VERSION < (5, 0):
            task.add_done_callback(lambda _: self.close())


class SyncBody(Body):
    """Iterated in a thread. `has_hung_up` tells whether the client is known to have gone."""

    def __init__(
        self, source: EventSource, encoder: Encoder, settings: Settings, has_hung_up: Callable[[], bool]
    ) -> None:
        super().__init__(source, encoder, settings)
        self._has_hung_up = has_hung_up

    def __iter__(self) -> SyncBody:
        return self

    def __next__(self) -> bytes:
        # Only the second write after a hang-up fails, so there are two within the time of one heartbeat.
        heartbeat_at = time.monotonic() + self.settings.heartbeat_seconds / 2
        while self.source:
            if self._has_hung_up():
                self.source.close()  # The end of a turn that ends with it can be read by who closed one direction only.
                if not self.source.ends_with_reader:
                    break
            left = heartbeat_at - time.monotonic()
            if left <= 0:
                heartbeat_at += self.settings.heartbeat_seconds / 2
                if self.encoder.heartbeat:
                    return self.encoder.heartbeat
            else:
                try:
                    events = self.source.take_blocking(min(left, POLL_SECONDS))
                except ServerStopping:  # See AsyncBody.
                    break
                if piece := self.encode(events):
                    return piece
        raise StopIteration


class StreamResponse(StreamingHttpResponse):
    """A body that nobody may cache, compress or hold back, and that is closed when its reader has gone."""

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
        """See StreamingHttpResponse.streaming_content. Middleware that changes what is sent replaces it."""
        return super().streaming_content

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self._content = value
        base: Any = StreamingHttpResponse.streaming_content  # A property, which has no `super()` that sets it.
        base.fset(self, value)

    def __iter__(self) -> Iterator[bytes]:
        """What middleware asked of the database after the view is over now."""
        release_connections()
        return super().__iter__()

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body itself, where no middleware has put anything between: a generator more costs each token."""
        if self._content is self._body:
            assert isinstance(self._body, AsyncBody)  # The other colour is iterated before it gets here.
            return self._body
        return self._closing(super().__aiter__())

    async def _closing(self, pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Django's own does not close the body when its reader leaves."""
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._body.close()
