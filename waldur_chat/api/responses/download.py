"""Send a file as a download while it is generated, under ASGI and WSGI.

The first chunk is generated in the view, so an error until then still has a status. Between chunks the database
connection is released, so that a client that reads slowly occupies none. A later error cuts the response, and its
reader can tell.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import get_language, override

from waldur_chat.errors import ChatBusy
from waldur_chat.runtime import tenants
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.forked import PerProcess

FIRST_CHUNK_LENGTH = 8 * 1024
"""The least number of characters in the first chunk, for which the view waits."""

CHUNK_LENGTH = 256 * 1024
"""The same for all others but the last."""

RETRY_AFTER_SECONDS = 5


class DownloadLimiter:
    """Counts the downloads of this process. Used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # Reentrant: the garbage collector may close a download while it is held.
        self._running = 0

    def enter(self, limit: int) -> None:
        """Count one more download. Raises `ChatBusy` if that is too many."""
        with self._lock:
            if self._running >= limit:
                raise ChatBusy("Enough exports are being sent.", retry_after=RETRY_AFTER_SECONDS)
            self._running += 1

    def leave(self) -> None:
        """Count one less."""
        with self._lock:
            self._running -= 1


downloads_of_process = PerProcess(DownloadLimiter)


class _Chunks:
    """The chunks of a file in the language, the time zone and the tenant of the request that creates them."""

    _is_open = False

    def __init__(self, texts: Iterator[str], limit: int) -> None:
        self._limiter = downloads_of_process()
        self._limiter.enter(limit)
        self._is_open = True
        self._texts = texts
        self._language, self._timezone = get_language(), timezone.get_current_timezone()
        self._tenant = tenants.current()
        try:
            self._first = self._join(FIRST_CHUNK_LENGTH)
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        """Count a response that was never closed, too."""
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        yield self._first
        while chunk := self.next():
            yield chunk

    def next(self) -> bytes:
        """The next chunk; empty at the end. Called in any thread."""
        try:
            with tenants.within(self._tenant), override(self._language), timezone.override(self._timezone):
                return self._join(CHUNK_LENGTH)
        finally:
            release_connections()

    def close(self) -> None:
        """Stop. Called by Django when the response has been sent, or the client has disconnected."""
        if self._is_open:
            self._is_open = False
            self._limiter.leave()

    def _join(self, least: int) -> bytes:
        """The next texts, so many characters at least."""
        parts: list[str] = []
        length = 0
        for text in self._texts if self._is_open else ():
            parts.append(text)
            length += len(text)
            if length >= least:
                break
        return "".join(parts).encode()


class Download(StreamingHttpResponse):
    """An attachment that no cache stores. Raises `ChatBusy` if `limit` downloads of this process are being sent."""

    def __init__(self, texts: Iterator[str], *, name: str, media_type: str, limit: int) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        super().__init__(_Chunks(texts, limit), content_type=media_type, headers=headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Generate in a thread. Django's method warns of a sync iterator, and reads all of it into memory."""
        chunks = iter(self)
        while chunk := await sync_to_async(_next)(chunks):
            yield chunk


def _next(chunks: Iterator[bytes]) -> bytes:
    return next(chunks, b"")
