"""The doctor's end of a probe: a socket to which the site's probe provider connects, to be told what to say."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4


class Line:
    """One probe as the site's provider sees it. `connected` and `closed` are set when the site does that."""

    def __init__(self) -> None:
        self.nonce = uuid4().hex
        self.connected = threading.Event()
        self.closed = threading.Event()
        self.facts: Mapping[str, Any] = {}
        self._connection: socket.socket | None = None

    def say(self, text: str) -> None:
        """Let the site's answer go on with this text, which has no line feed."""
        self._send(f"say {text}\n")

    def end(self) -> None:
        """Let the answer be complete."""
        self._send("end\n")

    def hang_up(self) -> None:
        """Break the connection, as a provider that dies does. Does nothing where there is none."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def connect(self, connection: socket.socket, facts: Mapping[str, Any]) -> None:
        """The site has connected."""
        self._connection, self.facts = connection, facts
        self.connected.set()

    def _send(self, text: str) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.sendall(text.encode())


class Listener:
    """Listens for the site. Port 0 means any free one."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._lines: dict[str, Line] = {}
        self._thread = threading.Thread(target=self._accept, name="chat-doctor-listener", daemon=True)
        self._thread.start()

    def line(self) -> Line:
        """A line that the site can connect to."""
        line = Line()
        self._lines[line.nonce] = line
        return line

    def close(self) -> None:
        """Listen no more, and break every connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=1)
        for line in self._lines.values():
            line.hang_up()

    def _accept(self) -> None:
        with suppress(OSError):  # It was closed.
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], name="chat-doctor-line", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError), connection.makefile("rb") as lines:
            hello = json.loads(lines.readline())
            line = self._lines.get(str(hello.pop("nonce", "")))
            if line is None:
                return  # Somebody else, or a probe of yesterday.
            line.connect(connection, hello)
            with suppress(OSError):
                lines.read()
            line.closed.set()
