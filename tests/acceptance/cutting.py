"""A relay that breaks connections in the middle of what the server sends, and leads to whichever server lives."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress

RESET = struct.pack("ii", 1, 0)
"""Linger for no time: closing resets."""


class Cutter:
    """Listens on a port. Each connection goes to the next of the servers' ports that somebody listens on.

    `cuts` says for one connection after the other how many bytes of the server pass before it is reset; those that come
    after all of them are not cut.
    """

    def __init__(self, ports: Sequence[int], cuts: Iterable[int] = ()) -> None:
        self._ports = list(ports)
        self._cuts = iter(cuts)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/api"
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._carry, args=(near, next(self._cuts, None)), daemon=True).start()

    def _carry(self, near: socket.socket, left: int | None) -> None:
        with near, suppress(OSError), self._connected() as far:
            threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
            while piece := far.recv(65536):
                if left is not None:
                    piece, left = piece[:left], max(0, left - len(piece))
                near.sendall(piece)
                if left == 0:
                    for end in (near, far):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                    break
            for end in (near, far):
                end.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> socket.socket:
        for _ in self._ports:
            port = self._ports.pop(0)
            self._ports.append(port)
            with suppress(ConnectionRefusedError):
                return socket.create_connection(("127.0.0.1", port))
        raise ConnectionRefusedError


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while piece := near.recv(65536):
            far.sendall(piece)
        far.shutdown(socket.SHUT_WR)
