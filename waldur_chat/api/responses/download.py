"""Send a file as a download, under ASGI and WSGI.

The file is written completely before its first byte is sent. So it shows one moment, an error still has a status, and a
client that reads slowly occupies no database connection. A large file is spooled to disk instead of memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from tempfile import SpooledTemporaryFile

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

IN_MEMORY = 1024 * 1024
CHUNK_BYTES = 64 * 1024


class _SpooledFile:
    """An iterator over the bytes of a temporary file, and its size."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # Closed with the response.
        for text in texts:
            self._file.write(text.encode())
        self.size = self._file.tell()
        self._file.seek(0)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(CHUNK_BYTES), b"")

    def close(self) -> None:
        """Delete the file. Called by Django when the response has been sent, or the client has disconnected."""
        self._file.close()


class Download(StreamingHttpResponse):
    """An attachment that no cache stores."""

    def __init__(self, texts: Iterable[str], *, name: str, media_type: str) -> None:
        file = _SpooledFile(texts)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(file.size),
            "Cache-Control": "no-store",
        }
        super().__init__(file, content_type=media_type, headers=headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Read the file in a thread. Django's method warns of a sync iterator, and reads all of it into memory."""
        file = iter(self)
        while chunk := await sync_to_async(_next)(file):
            yield chunk


def _next(file: Iterator[bytes]) -> bytes:
    return next(file, b"")
