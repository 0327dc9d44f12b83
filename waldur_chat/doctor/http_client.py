"""An HTTP client that reports everything: status, headers, and when each piece arrived. Standard library only."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

CONNECT_SECONDS = 10.0
_BROKEN = (OSError, http.client.HTTPException, ValueError, AttributeError)
"""Raised by reads when the connection breaks, or when leave() closes it in another thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The address of the API: its URL up to `chat/`, a file of extra certificates, and headers such as `Host`."""

    url: str
    certificates: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def path(self, operation: str) -> str:
        """The path of an operation: `stream` or `invoke`."""
        return f"{urlsplit(self.url).path.rstrip('/')}/{operation}/"

    def open(self) -> http.client.HTTPConnection:
        """Make a connection that is not opened yet."""
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme != "https":
            return http.client.HTTPConnection(host, parts.port, timeout=CONNECT_SECONDS)
        context = ssl.create_default_context()
        if self.certificates:
            context.load_verify_locations(self.certificates)
        return http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_SECONDS, context=context)


class HttpCall:
    """One request, sent when this is constructed; a thread reads the answer.

    `failure` is the exception of the client's side; `done` says that nothing more will arrive.
    """

    def __init__(self, address: Address, path: str, body: bytes, headers: dict[str, str]) -> None:
        self.path = path
        self.status = 0
        self.version = 0
        self.headers: Message = Message()
        self.received = b""
        self.failure: Exception | None = None
        self.done = False
        self._socket: socket.socket | None = None
        self._left = False
        self._news = threading.Condition()
        self._connection = address.open()
        self._thread = threading.Thread(target=self._run, args=[path, body, headers], name="chat-doctor", daemon=True)
        self._thread.start()

    @property
    def is_silent(self) -> bool:
        """Whether the site has accepted the connection, and neither answered nor closed it."""
        return self._socket is not None and not self.status and self.failure is None

    @property
    def code(self) -> str:
        """The application's error code; empty if there is no error, or if something else answered."""
        problem = self.json
        return str(problem.get("code", "")) if isinstance(problem, dict) else ""

    @property
    def json(self) -> Any:
        """The whole body parsed as JSON, or None."""
        try:
            return json.loads(self.received)
        except ValueError:
            return None

    @property
    def server(self) -> str:
        """The `Server` header of the answer."""
        return str(self.headers.get("Server", ""))

    def wait_for(self, text: str, seconds: float) -> bool:
        """Wait for the text; tells whether it arrived in time."""
        wanted = text.encode()
        with self._news:
            self._news.wait_for(lambda: self.done or wanted in self.received, seconds)
            return wanted in self.received

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the answer, in whatever way; tells whether it came in time."""
        with self._news:
            return self._news.wait_for(lambda: self.done, seconds)

    def leave(self) -> None:
        """Close the connection, during the answer or after it."""
        self._left = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=CONNECT_SECONDS)

    def _run(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            self._connection.connect()
            self._socket = self._connection.sock
            self._socket.settimeout(None)
            with suppress(BrokenPipeError, ConnectionResetError):  # A server that refuses a large body still answers.
                self._connection.request("POST", path, body, headers)
            self._read(self._connection.getresponse())
        except _BROKEN as error:
            self.failure = None if self._left else error
        finally:
            with self._news:
                self.done = True
                self._news.notify_all()
            self._connection.close()

    def _read(self, response: http.client.HTTPResponse) -> None:
        self.status, self.version, self.headers = response.status, response.version, response.headers
        while piece := response.read1(65536):
            with self._news:
                self.received += piece
                self._news.notify_all()
        if response.length:  # Less than Content-Length promised.
            raise http.client.IncompleteRead(self.received, response.length)
