"""What an answer of a gigabyte without a newline and readers that never read cost the server in memory.

python -m tests.benchmarks.memory [--readers 200] [--server uvicorn ...]
"""

from __future__ import annotations

import argparse
import json
import socket
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.streams import family, read_until
from tests.processes import TOKEN, Running, fake_service, host, stats

SETTINGS = {"TURN_SECONDS": 300, "BREAKER_FAILURES": 100_000, "ATTEMPTS": 1, "ANSWER_MAX_LENGTH": 2_000_000_000}
ENDLESS = {
    "an endless line": "at=1&say=endless-line",
    "an endless event": "at=1&say=endless-event",
    "endless tokens": "say=endless-tokens",
}


def ask(server: Running, behaviour: str, path: str = "stream", receive_buffer: int = 0) -> socket.socket:
    """A connection on which a question was sent."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(120)
    connection.connect(("127.0.0.1", server.port))
    body = json.dumps({"input": f"fake:{behaviour}"})
    connection.sendall(
        f"POST /api/chat/{path}/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def resident(server: Running) -> float:
    """The resident memory of the server's processes, in MB."""
    pages = (int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(server.process.pid))
    return sum(pages) * 4096 / 1e6


def peak(server: Running, seconds: float) -> float:
    """The most of it within a time."""
    highest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        highest = max(highest, resident(server))
        time.sleep(0.05)
    return highest


def measure(server: str, readers: int) -> None:
    """Print what each case costs on one server."""
    with tempfile.TemporaryDirectory() as name, fake_service(Path(name)) as fake:
        arguments = ("--threads", str(readers + 20)) if server == "gunicorn-gthread" else ()
        with host(server, Path(name), provider=f"{fake.address}/v1", settings=SETTINGS, arguments=arguments) as running:
            for _ in range(3):
                with ExitStack() as stack:  # What so many usual clients at once cost is no growth.
                    for one in [stack.enter_context(ask(running, "tokens=20&delay=0.3")) for _ in range(readers)]:
                        read_until(one, b"never")
            for words, behaviour in ENDLESS.items():
                for path in ("stream", "invoke"):
                    if path == "invoke" and "tokens" in words:
                        continue
                    before = resident(running)
                    with ask(running, behaviour, path) as connection:
                        highest = peak(running, 5)
                        received = read_until(connection, b"never") if "tokens" not in words else b""
                    ending = b"provider_failed" in received or "tokens" in words
                    print(f"{server}: {words}, {path}: +{highest - before:.1f} MB; refused: {ending}")
            for words, behaviour in ENDLESS.items():
                before = resident(running)
                with ExitStack() as stack:
                    for _ in range(readers):
                        stack.enter_context(ask(running, behaviour, receive_buffer=4096))
                    highest = peak(running, 15)
                print(f"{server}: {readers} readers that never read, {words}: +{highest - before:.1f} MB")
                time.sleep(3)
            left = stats(fake)["answering"]
            print(f"{server}: after all +{resident(running) - before:.1f} MB, the provider still answers {left}")


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--server", nargs="*", default=["uvicorn", "gunicorn-gthread"])
    options = parser.parse_args()
    for server in options.server:
        measure(server, options.readers)


if __name__ == "__main__":
    main()
