"""The socket to which the site's probe provider connects, and over which the doctor tells it what to answer."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import uuid4


class ControlChannel:
    """The control connection of one probe. `connected` and `closed` are set when the site does that."""

    def __init__(self) -> None:
        self.nonce = uuid4().hex
        self.connected = threading.Event()
        self.closed = threading.Event()
        self.facts: Mapping[str, Any] = {}
        self._connection: socket.socket | None = None

    def say(self, text: str) -> None:
        """Continue the site's answer with this text, which must not contain a line feed."""
        self._send(f"say {text}\n")

    def end(self) -> None:
        """Complete the answer."""
        self._send("end\n")

    def hang_up(self) -> None:
        """Break the connection, as a provider that crashes does. Without a connection, do nothing."""
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def connect(self, connection: socket.socket, facts: Mapping[str, Any]) -> None:
        """Take the site's connection, and what the site says of itself."""
        self._connection, self.facts = connection, facts
        self.connected.set()

    def _send(self, text: str) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.sendall(text.encode())


class ControlListener:
    """Accepts the site's control connections. Port 0 means any free one."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self._channels: dict[str, ControlChannel] = {}
        self._thread = threading.Thread(target=self._accept, name="chat-doctor-listener", daemon=True)
        self._thread.start()

    def open_channel(self) -> ControlChannel:
        """Open a channel that the site can connect to by its nonce."""
        channel = ControlChannel()
        self._channels[channel.nonce] = channel
        return channel

    def close(self) -> None:
        """Stop listening, and break every connection."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(timeout=1)
        for channel in self._channels.values():
            channel.hang_up()

    def _accept(self) -> None:
        with suppress(OSError):  # close() was called.
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=[connection], name="chat-doctor-channel", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError), connection.makefile("rb") as lines:
            hello = json.loads(lines.readline())
            channel = self._channels.get(str(hello.pop("nonce", "")))
            if channel is None:
                return  # Not a probe of this run.
            channel.connect(connection, hello)
            with suppress(OSError):
                lines.read()
            channel.closed.set()
