"""What health and readiness cost a process that is asked 100 times a second: its share of a core.

First in front of Django alone, then of a whole uvicorn or gunicorn process, over connections that are kept.

python -m tests.benchmarks.health [--seconds 20] [--database postgres://...]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.host.settings")
django.setup()

from tests.acceptance.streams import family  # noqa: E402
from tests.processes import Running, host  # noqa: E402
from waldur_chat import shedding  # noqa: E402

PATHS = ("/api/chat/health/", "/api/chat/ready/")
RATE, ROUNDS, REQUESTS, PACED_ROUNDS = 100, 9, 2000, 5
TICKS = os.sysconf("SC_CLK_TCK")


def in_front(path: str) -> float:
    """The processor seconds of one request under ASGI, of this process and its looks; the median of rounds."""

    async def nothing(*_: Any) -> None:
        """Django is never reached."""

    application = shedding.asgi(nothing)
    headers = [(b"host", b"localhost"), (b"user-agent", b"kube-probe/1.30"), (b"accept", b"*/*")]
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "query_string": b""}

    async def main() -> list[float]:
        await application(scope, None, nothing)
        took = []
        for _ in range(ROUNDS):
            began = time.process_time()
            for _ in range(REQUESTS):
                await application(scope, None, nothing)
            took.append((time.process_time() - began) / REQUESTS)
        return took

    return median(asyncio.run(main()))


def paced_in_front(path: str, seconds: float) -> float:
    """The share of a core at 100 requests a second, with the looks that begin each second; the median of rounds.

    A loop that asks for nothing at the same pace is subtracted.
    """

    async def nothing(*_: Any) -> None:
        """Django is never reached."""

    application = shedding.asgi(nothing)
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}

    async def main(is_asked: bool) -> float:
        await application(scope, None, nothing)
        began, cpu = time.monotonic(), time.process_time()
        for number in range(int(seconds * RATE)):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            if is_asked:
                await application(scope, None, nothing)
        return (time.process_time() - cpu) / (time.monotonic() - began)

    differences = [asyncio.run(main(True)) - asyncio.run(main(False)) for _ in range(PACED_ROUNDS)]
    return median(differences)


def processor_seconds(server: Running) -> float:
    """What the server's processes have used."""
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in family(server.process.pid)]
    return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS


def share(server: Running, path: str, seconds: float) -> float:
    """The share of a core that the server uses while it is asked."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    began, used = time.monotonic(), processor_seconds(server)
    for number in range(int(seconds * RATE)):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        response.read()
    connection.close()
    return (processor_seconds(server) - used) / (time.monotonic() - began)


def main() -> None:
    """Print all of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--database", default="")
    options = parser.parse_args()
    for path in PATHS:
        each, paced = in_front(path), paced_in_front(path, options.seconds / PACED_ROUNDS)
        print(f"{path} in front of Django: {each * 1e6:.1f} µs a request; at {RATE}/s {paced:.2%} of a core")
    for name in ("uvicorn", "gunicorn-gthread"):
        with TemporaryDirectory() as directory, host(name, Path(directory), database=options.database) as server:
            share(server, PATHS[1], 1)
            for path in PATHS:
                print(f"{path} of all of {name} at {RATE}/s: {share(server, path, options.seconds):.2%} of a core")


if __name__ == "__main__":
    main()
