"""A relay before a server that must not be stopped, which can be cut in its place, or fall silent."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class Relay:
    """Relays connections to an address; while it is cut, nobody listens and no connection is left."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: list[_Pair] = []
        self._is_mute = False
        self._listen(0)
        self.port: int = self._listener.getsockname()[1]

    def cut(self) -> None:
        """Refuse new connections and end the others."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join()  # Not before this has ended is it known what it has accepted.
        self._listener.close()
        for pair in self._pairs:
            pair.end()
        self._pairs.clear()

    def mend(self) -> None:
        """Listen again."""
        self._listen(self.port)

    def hush(self) -> None:
        """Let the connections that there are stay open and pass nothing on, as where the server was lost."""
        for pair in self._pairs:
            pair.is_silent = True

    def mute(self) -> None:
        """Let new connections be silent too, as where the server hangs or its packets are dropped."""
        self._is_mute = True
        self.hush()

    def unmute(self) -> None:
        """Pass on what comes on new connections."""
        self._is_mute = False

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._join(near)

    def _join(self, near: socket.socket) -> None:
        """Let a connection go on to the target; who refuses it there refuses it here."""
        try:
            far = socket.create_connection(self._target)
        except OSError:
            near.close()
        else:
            self._pairs.append(_Pair(near, far, is_silent=self._is_mute))


class _Pair:
    """A connection to the relay, and the one on which it goes on."""

    def __init__(self, near: socket.socket, far: socket.socket, *, is_silent: bool) -> None:
        self.is_silent = is_silent
        self._ends = near, far
        threading.Thread(target=self._run, daemon=True).start()

    def end(self) -> None:
        """Wake both directions; who reads an end must not find its number in use by another connection."""
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _run(self) -> None:
        near, far = self._ends
        with near, far:
            back = threading.Thread(target=self._pump, args=(far, near), daemon=True)
            back.start()
            self._pump(near, far)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                if not self.is_silent:
                    target.sendall(piece)
        if not self.is_silent:
            self.end()
