"""A proxy that does to requests and answers what it is told to, for tests of the doctor in one process."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

END_OF_HEAD = b"\r\n\r\n"


@dataclass(kw_only=True)
class Meddling:
    """What the proxy does: answer itself, change requests or answers, hold answers back, end them, or ignore hang-ups.

    A request that `instead` answers with nothing is never answered. `last_words` are said where an answer is ended that
    had not begun.
    """

    instead: Callable[[bytes], bytes | None] = lambda request: None
    request: Callable[[bytes], bytes] = bytes
    answer: Callable[[bytes], bytes] = bytes
    holds_back: bool = False
    ends_after: float = 1000.0
    ends_silence_after: float = 1000.0
    ignores_hangups: bool = False
    last_words: bytes = b""


@contextmanager
def proxy(upstream: int, meddling: Meddling) -> Iterator[str]:
    """A proxy before a port, and the address of the API behind it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=[listener, upstream, meddling], daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/chat/"
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, upstream: int, meddling: Meddling) -> None:
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=[client, upstream, meddling], daemon=True).start()


def _serve(client: socket.socket, upstream: int, meddling: Meddling) -> None:
    with client, suppress(OSError):
        request = _read(client)
        own = meddling.instead(request)
        if own is not None:
            client.sendall(own)
            if not own:
                client.recv(1)
            return
        with socket.create_connection(("127.0.0.1", upstream)) as site:
            site.sendall(meddling.request(request))
            _relay(client, site, meddling)


def _read(client: socket.socket) -> bytes:
    received = b""
    while END_OF_HEAD not in received:
        received += client.recv(65536)
    head, _, body = received.partition(END_OF_HEAD)
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return head + END_OF_HEAD + body


def _relay(client: socket.socket, site: socket.socket, meddling: Meddling) -> None:
    held, has_begun, watched = b"", False, [site, client]
    began = heard = time.monotonic()
    while time.monotonic() < min(began + meddling.ends_after, heard + meddling.ends_silence_after):
        readable = select.select(watched, [], [], 0.05)[0]
        if client in readable:
            if not meddling.ignores_hangups:
                return
            watched = [site]
        if site in readable:
            piece = site.recv(65536)
            heard = time.monotonic()
            held += piece
            if not piece or not (meddling.holds_back or END_OF_HEAD not in held) or has_begun:
                _send(client, held if has_begun else meddling.answer(held), meddling)
                held, has_begun = b"", True
            if not piece:
                return
    if not has_begun:
        client.sendall(meddling.last_words)


def _send(client: socket.socket, data: bytes, meddling: Meddling) -> None:
    try:
        client.sendall(data)
    except OSError:
        if not meddling.ignores_hangups:
            raise
