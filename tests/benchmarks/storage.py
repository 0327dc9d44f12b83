"""What storage adds to the time to the first event, on PostgreSQL.

python -m tests.benchmarks.storage [--rounds 20] [--requests 20] [--server uvicorn ...]

Two hosts on one database begin to answer at once, one that stores and one that does not. They are asked in turns, so
that both see the same machine; first with a connection for each request, as Django has it by default, then with a pool
(Django 5.1 and newer): to a new connection PostgreSQL must read the description of each table anew. Titles are off,
since they are asked for beside the answer. Its words come one by one, so that storing the end is not in the way.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.acceptance.postgresql import pooled, postgresql_database, postgresql_server
from tests.acceptance.streams import read_until
from tests.processes import TOKEN, Running, fake_service, host

BODY = json.dumps({"input": "Hello"})


def seconds_to_first_event(server: Running) -> float:
    """Ask on a connection of its own, and read the whole answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        begun = time.perf_counter()
        connection.sendall(
            f"POST /api/chat/stream/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\n"
            f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
        )
        if b"event: start" not in read_until(connection, b"event: start"):
            raise RuntimeError("there was no answer")
        seconds = time.perf_counter() - begun
        read_until(connection, b"never")
    return seconds


def measure(server: str, connections: int, rounds: int, requests: int) -> None:
    """Print the medians of one server, and what lies between them. It has a pool of so many connections, or none."""
    found: dict[bool, list[float]] = {False: [], True: []}
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = stack.enter_context(fake_service(directory))
        address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
        asked = {}
        for stores in (False, True):
            started = host(
                server,
                directory,
                model="tokens=3&delay=0.03",
                provider=f"{fake.address}/v1",
                settings={"STORAGE": stores},
                database=pooled(address, connections) if connections else address,
                log=directory / f"{stores}.log",
                is_set_up=stores,
            )
            asked[stores] = stack.enter_context(started)
        for number in range(-1, rounds):  # The first round warms up.
            for stores in (False, True) if number % 2 else (True, False):
                seconds = [seconds_to_first_event(asked[stores]) for _ in range(requests)]
                found[stores] += seconds if number >= 0 else []
    without, stored = (statistics.median(found[stores]) * 1000 for stores in (False, True))
    print(f"{server:16} {'a pool' if connections else 'no pool'}: p50 to the first event", end=" ")
    print(f"{without:.2f} ms without storage, {stored:.2f} ms with it, difference {stored - without:.2f} ms")


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=20)
    parser.add_argument("--server", nargs="*", default=["uvicorn", "gunicorn-gthread"])
    options = parser.parse_args()
    for server in options.server:
        for connections in (0, 5):
            measure(server, connections, options.rounds, options.requests)


if __name__ == "__main__":
    main()
