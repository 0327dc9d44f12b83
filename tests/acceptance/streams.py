"""Streams over raw sockets, for tests that read piece by piece or leave in the middle."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.processes import TOKEN, Running

TELLS = signal.SIGRTMIN
"""The signal at which a server of the table of faults writes to its log what its threads do."""


def open_stream(
    server: Running,
    accept: str = "text/event-stream",
    path: str = "/api/chat/stream/",
    *,
    token: str = TOKEN,
    **fields: str,
) -> socket.socket:
    """A connection on which a question was sent and nothing was read. `fields` are further ones of the body."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    body = json.dumps({"input": "Hello", **fields})
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\nAccept: {accept}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def read_until(connection: socket.socket, wanted: bytes) -> bytes:
    """What arrives until these bytes have arrived, or the end."""
    received = b""
    while wanted not in received and (piece := connection.recv(65536)):
        received += piece
    return received


def read_head(connection: socket.socket) -> bytes:
    """The head of a response, and what came with it."""
    return read_until(connection, b"\r\n\r\n")


def status(head: bytes) -> int:
    """The status of a response."""
    return int(head.split(b" ")[1])


def header(head: bytes, name: str) -> str:
    """A field of a response's head, empty where it is not there."""
    lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
    return {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}.get(name, "")


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def family(process: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [process, *(int(child) for child in children)]


def open_files(server: Running) -> Counter[str]:
    """What the file descriptors of the server's processes lead to: paths, and kinds such as "socket"."""
    targets = Counter[str]()
    for process in family(server.process.pid):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):  # Closed since the folder was read.
                targets[str(descriptor.readlink()).partition(":")[0]] += 1
    return targets


def what_is_open(server: Running) -> str:
    """Each file descriptor of the server's processes, and what their threads do where they write that to their log."""
    found = []
    for process in family(server.process.pid):
        for descriptor in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.append(f"{process} {descriptor.readlink()}")
        caught = Path(f"/proc/{process}/status").read_text().partition("SigCgt:")[2].split()[0]
        if int(caught, 16) >> (TELLS - 1) & 1:
            os.kill(process, TELLS)
    time.sleep(0.5)
    return "\n".join([*found, server.log.read_text()[-20000:] if server.log.is_file() else ""])


def threads(server: Running) -> int:
    """How many threads the server's processes have."""
    return sum(len(list(Path(f"/proc/{process}/task").iterdir())) for process in family(server.process.pid))
