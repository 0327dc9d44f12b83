"""Sends damaged requests to the host project on each server, and counts what comes back.

python -m tests.benchmarks.fuzz [--cases 20000] [--seconds 300] [--server uvicorn ...] [--seed 1] [--schemathesis 20000]

A case is one connection: a request of tests.acceptance.test_hostile_requests with bytes flipped, left out, put in,
doubled or cut off, or with lines of another one, or bytes of no meaning. Prints the statuses, every 5xx of ours with
its case, and what stands in the server's log. `--schemathesis` is how many cases Schemathesis makes of the OpenAPI
document.
"""

from __future__ import annotations

import argparse
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.acceptance.test_hostile_requests import OFFLINE, REQUESTS, exchange, raised, request, statuses
from tests.processes import ROOT, Running, host

THREADS = 6
PATIENCE_SECONDS = 0.3
LONGEST_SEED = 20_000
UNKNOWN_CODING = 501
"""gunicorn's own word for a transfer coding that it does not know; Django does not see the request."""
TROUBLE = (b"Task exception", b"never retrieved", b"never awaited", b"Logging error", b"Internal Server Error")
SCHEMATHESIS = "tests/acceptance/test_schemathesis.py"

SEEDS = [
    *(data for data, _ in REQUESTS.values() if len(data) < LONGEST_SEED),
    *[request("Connection: close")] * 10,
    *[request("Connection: close", first="POST /api/chat/invoke/ HTTP/1.1")] * 10,
    request("Connection: close", "Accept: application/x-ndjson", "X-Request-ID: abc", "Accept-Language: de"),
]
SPLICES = [
    b"\r\n",
    b"\r\n\r\n",
    b"\x00",
    b"\xff",
    b": ",
    b",",
    b";q=",
    b"9" * 20,
    b"\\ud800",
    b'"',
    b"[" * 2000,
    b"\r",
    b"\n",
]


def case(chance: random.Random) -> bytes:
    """The bytes of one connection."""
    if chance.random() < 0.05:
        return chance.randbytes(chance.randrange(400))
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.choice([0, 1, 1, 2, 3, 8])):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randrange(30))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = chance.choice(SPLICES)
            case 3:
                data[at:at] = data[at:to]
            case 4:
                del data[max(1, at) :]
            case 5:
                lines = data.split(b"\r\n")
                lines.insert(chance.randrange(1, len(lines) + 1), chance.choice(chance.choice(SEEDS).split(b"\r\n")))
                data = bytearray(b"\r\n".join(lines))
            case _:
                data += chance.choice(SEEDS)
    return bytes(data)


def answer(server: Running, data: bytes) -> bytes:
    """What comes back, until the server closes or is silent for a while."""
    received = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection, suppress(OSError):
        connection.sendall(data)
        connection.settimeout(PATIENCE_SECONDS)
        while piece := connection.recv(65536):
            received += piece
    return received


def fuzz(name: str, cases: int, seconds: float, seed: int) -> bool:
    """Fuzz one server; tell whether nothing was found."""
    counts: Counter[int | str] = Counter()
    failures: list[tuple[bytes, bytes]] = []
    end = time.monotonic() + seconds

    def run(number: int) -> None:
        if time.monotonic() < end:
            data = case(random.Random(f"{seed} {number}"))
            received = answer(server, data)
            answered = statuses(received) or ["no answer"]
            counts.update(answered)
            counts["cases"] += 1
            if any(status in range(500, 600) and status != UNKNOWN_CODING for status in answered):
                failures.append((data, received))

    with tempfile.TemporaryDirectory() as directory:
        with host(name, Path(directory), settings={"PROVIDERS": {"default": OFFLINE}}) as server:
            began = time.monotonic()
            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(run, range(cases)))
            took = time.monotonic() - began
            works = statuses(exchange(server, request("Connection: close"))) == [200]
        log = server.log.read_bytes()
    tracebacks = raised(log)
    found = {words.decode(): log.count(words) for words in TROUBLE if words in log}
    told = ", ".join(f"{status}: {count}" for status, count in sorted(counts.items(), key=str) if status != "cases")
    print(f"{name}: {counts['cases']} cases in {took:.0f} s; {told}")
    print(f"{name}: tracebacks: {log.count(b'Traceback')}, of which not the server's: {len(tracebacks)}")
    print(f"{name}: in the log: {found or 'no trouble'}")
    print(f"{name}: the next request {'works' if works else 'FAILS'}")
    for data, received in failures[:20]:
        print(f"{name}: {received[:60]!r} for {data[:2000]!r}")
    for traceback in tracebacks[:5]:
        print(traceback[:4000].decode(errors="replace"))
    return works and not found and not tracebacks and not failures


def schemathesis(cases: int) -> bool:
    """Run the acceptance test with at least so many cases, as its output counts them."""
    environment = {**os.environ, "SCHEMATHESIS_EXAMPLES": str(cases)}
    command = [sys.executable, "-m", "pytest", "-q", "-s", SCHEMATHESIS]
    return subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def main() -> None:
    """Fuzz each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--server", nargs="*", default=["uvicorn", "gunicorn-gthread"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--schemathesis", type=int, default=0)
    options = parser.parse_args()
    fine = [fuzz(server, options.cases, options.seconds, options.seed) for server in options.server]
    if options.schemathesis:
        fine.append(schemathesis(options.schemathesis))
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
