"""Asks the chat API over a plain socket, and says what came back in the words of the table."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

from tests.processes import TOKEN, Running

LONGEST = 30.0
_LAST_EVENT = re.compile(rb"event: (\w+)\ndata: (.*)\n\n\Z")
_TEXT = re.compile(rb"^data: (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A response, whole or cut, and the seconds from the question to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool
    seconds: float

    @property
    def told(self) -> str:
        """What the client learns: the status, and the code of an error."""
        if self.cut:
            return f"{self.status}, then cut" if self.status else "cut"
        if self.status != 200:
            return f"{self.status} {self._problem}".strip()
        if not self._is_stream:
            return "200"
        last = _LAST_EVENT.search(self.body)
        name, data = last.groups() if last else (b"", b"{}")
        return "200" if name == b"end" else f"200, then {json.loads(data).get('code', 'no last event')}"

    @property
    def text(self) -> str:
        """The text of the answer."""
        if not self._is_stream:
            return str(json.loads(self.body))
        return "".join(json.loads(data).get("c", "") for data in _TEXT.findall(self.body))

    @property
    def _is_stream(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def _problem(self) -> str:
        return str(json.loads(self.body)["code"]) if "json" in self.headers.get("content-type", "") else ""


def connect(server: Running, endpoint: str, question: str, receive_buffer: int = 0) -> socket.socket:
    """A connection on which a question was sent and nothing was read."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(LONGEST)
    connection.connect(("127.0.0.1", server.port))
    body = json.dumps({"input": question})
    accept = "text/event-stream" if endpoint == "stream" else "application/json"
    head = [
        f"POST /api/chat/{endpoint}/ HTTP/1.1",
        "Host: localhost",
        "Connection: close",
        f"Authorization: Token {TOKEN}",
        f"Accept: {accept}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    connection.sendall("\r\n".join([*head, "", body]).encode())
    return connection


def receive(connection: socket.socket, since: float = 0.0) -> Answer:
    """The response to what was asked."""
    status, headers, body, cut = 0, {}, b"", False
    with HTTPResponse(connection, method="POST") as response:
        try:
            response.begin()
            status, headers = response.status, {name.lower(): value for name, value in response.getheaders()}
            while piece := response.read1(65536):
                body += piece
        except (HTTPException, OSError):
            cut = True
    return Answer(status=status, headers=headers, body=body, cut=cut, seconds=time.monotonic() - since)


def ask(server: Running, endpoint: str, question: str, meanwhile: Callable[[], None] = lambda: None) -> Answer:
    """Ask, do something once the question is sent, and read the response."""
    since = time.monotonic()
    with connect(server, endpoint, question) as connection:
        meanwhile()
        return receive(connection, since)
