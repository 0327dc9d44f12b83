"""A TCP proxy that cuts connections when a test says so."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.processes import free_port

RESET = struct.pack("ii", 1, 0)


class Cutting:
    """Leads from its own port to another one of this machine."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener: socket.socket | None = None
        self._listen()

    @property
    def address(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Reset all connections; new ones are taken."""
        while self._pairs:
            for end in self._pairs.pop():
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    end.shutdown(socket.SHUT_RD)
                end.close()

    @contextmanager
    def down(self) -> Iterator[None]:
        """Reset all connections, and refuse new ones for a while."""
        self.close()
        yield
        self._listen()

    def close(self) -> None:
        """Reset all connections, and refuse new ones."""
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        self.cut()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=[self._listener], daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((client, server))
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=ends, daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def cutting(target: int) -> Iterator[Cutting]:
    """A proxy to this port."""
    proxy = Cutting(target)
    try:
        yield proxy
    finally:
        proxy.close()
