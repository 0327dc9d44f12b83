"""A file for taking away, in the colour of the server that carries it.

It is written whole before its first byte is sent: so it shows one moment, an error is still an error, and a client that
reads slowly holds no database connection. It costs a temporary file where it is large; memory, never more than that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from tempfile import SpooledTemporaryFile

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse

IN_MEMORY = 1024 * 1024
PIECE = 64 * 1024


class _Pieces:
    """The bytes of a file, and its end."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._file = SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115  # It is closed with the response.
        for text in texts:
            self._file.write(text.encode())
        self.size = self._file.tell()
        self._file.seek(0)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.read(PIECE), b"")

    def close(self) -> None:
        """Called by Django when the response has been sent, or nobody wants it any more."""
        self._file.close()


class Download(StreamingHttpResponse):
    """An attachment that no cache keeps."""

    def __init__(self, texts: Iterable[str], *, name: str, media_type: str) -> None:
        pieces = _Pieces(texts)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Content-Length": str(pieces.size),
            "Cache-Control": "no-store",
        }
        super().__init__(pieces, content_type=media_type, headers=headers)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Django's own would warn, and read the whole file into memory."""
        pieces = iter(self)
        while piece := await sync_to_async(_next)(pieces):
            yield piece


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")
