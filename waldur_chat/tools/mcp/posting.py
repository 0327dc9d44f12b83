"""One POST to a server, and its answer piece by piece: within a time, up to a size, without redirects or cookies.

By `http.client`: the openai package brings httpx in older releases and httpx2 in newer ones, and neither is ours.
"""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from time import monotonic

from waldur_chat.tools.mcp.failures import AnswerBroken, CallRefused, NotReached, ServerDown
from waldur_chat.tools.mcp.proxies import Route, route

CONNECT_SECONDS = 5.0
MOST_BYTES = 1_000_000
"""The most that is read of one answer."""
PIECE = 65_536

_BROKEN = (OSError, http.client.HTTPException, ValueError)
"""What sending and reading raise if the connection breaks, or is closed by another thread."""


class Deadline:
    """A time at which a call has to be over, however many requests it takes."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """The seconds that are left; 0 at the end."""
        return max(0.0, self._end - monotonic())

    def too_slow(self) -> ServerDown:
        """The failure of a call that has used up its time."""
        return ServerDown(f"It did not answer within {self.seconds:g} seconds.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpReply:
    """Status and headers of an answer, and its body, which is read as it is iterated."""

    status: int
    headers: Message
    pieces: Iterator[bytes]

    @property
    def media_type(self) -> str:
        """The type of the body, in lower case."""
        return str(self.headers.get("Content-Type", "")).partition(";")[0].strip().lower()


@contextmanager
def post(url: str, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> Iterator[HttpReply]:
    """Send a body. Raises `ServerDown`, and for a redirect `CallRefused`; reading raises `AnswerBroken`, too."""
    if not deadline.left:
        raise deadline.too_slow()
    way = route(url, min(CONNECT_SECONDS, deadline.left))
    try:
        opened = _open(way)
        with _watched(opened, deadline):
            yield _reply(way, headers, body, deadline)
    finally:
        way.connection.close()


def _open(way: Route) -> socket.socket:
    try:
        way.connection.connect()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotReached(f"It cannot be reached ({type(error).__name__}).") from error
    return way.connection.sock


@contextmanager
def _watched(opened: socket.socket, deadline: Deadline) -> Iterator[None]:
    """Close the socket at the deadline: a limit for each read would let a server send a byte now and then for ever."""
    opened.settimeout(deadline.left or 0.001)
    is_over = threading.Event()
    arguments = (opened, is_over, deadline)
    threading.Thread(target=_watch, args=arguments, name="waldur-chat-mcp-deadline", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _watch(opened: socket.socket, is_over: threading.Event, deadline: Deadline) -> None:
    if not is_over.wait(deadline.left):
        with suppress(OSError):  # It may be closed since.
            opened.shutdown(socket.SHUT_RDWR)


def _reply(way: Route, headers: Mapping[str, str], body: bytes, deadline: Deadline) -> HttpReply:
    try:
        with suppress(BrokenPipeError, ConnectionResetError):  # A server that refuses a large body still answers.
            way.connection.request("POST", way.target, body, {**headers, **way.headers})
        response = way.connection.getresponse()
    except _BROKEN as error:
        raise _broken(error, deadline) from error
    if 300 <= response.status < 400:
        raise CallRefused("It redirects to another address, which is not followed.", status=response.status)
    return HttpReply(status=response.status, headers=response.headers, pieces=_pieces(response, deadline))


def _pieces(response: http.client.HTTPResponse, deadline: Deadline) -> Iterator[bytes]:
    size = 0
    try:
        while piece := response.read1(PIECE):
            size += len(piece)
            if size > MOST_BYTES:
                raise AnswerBroken(f"Its answer is longer than {MOST_BYTES} bytes.")
            yield piece
    except _BROKEN as error:
        raise _broken(error, deadline) from error
    if response.length or not deadline.left:  # Less than Content-Length promised, or closed at the deadline.
        raise _broken(None, deadline)


def _broken(error: BaseException | None, deadline: Deadline) -> AnswerBroken | ServerDown:
    if isinstance(error, TimeoutError) or not deadline.left:
        return deadline.too_slow()
    return AnswerBroken("Its answer broke off.")
