"""How soon the provider's connection is closed after a turn was stopped or its client has left, and what stays.

python -m tests.benchmarks.hangups [--count 200] [--server uvicorn ...]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.acceptance.streams import eventually, open_files, open_stream, read_until, threads
from tests.processes import Running, fake_service, host, stats

MODEL = "tokens=400&delay=0.02&head=0.1"
HEARTBEAT_SECONDS = 2.0


def leave(server: Running, fake: Running) -> float:
    """Ask, leave at a random moment, and give the seconds until the fake service saw it."""
    connection = open_stream(server)
    if random.random() < 0.3:
        eventually(lambda: stats(fake)["answering"] == 1)
    else:
        read_until(connection, b"w%d " % random.randrange(20))
    before, left_at = len(stats(fake)["left"]), time.time()
    connection.close()
    return _closed(fake, before) - left_at


def stop(server: Running, fake: Running) -> float:
    """Ask, stop the turn at a random moment, and give the seconds until the fake service saw it."""
    with open_stream(server) as connection:
        received = read_until(connection, b"w%d " % random.randrange(20))
        turn = json.loads(received.split(b"event: start\ndata: ")[1].split(b"\n")[0])["turn_uuid"]
        before, stopped_at = len(stats(fake)["left"]), time.time()
        urllib.request.urlopen(urllib.request.Request(f"{server.address}/stop/{turn}/", method="POST")).close()
        delay = _closed(fake, before) - stopped_at
        if b"event: cancelled" not in read_until(connection, b"event: cancelled"):
            raise RuntimeError("the stream did not end with its event")
    return delay


def _closed(fake: Running, before: int) -> float:
    if not eventually(lambda: len(stats(fake)["left"]) > before):
        raise RuntimeError("the provider's connection stays open")
    return float(stats(fake)["left"][-1])


def measure(server: str, count: int) -> None:
    """Print two lines for a server."""
    with tempfile.TemporaryDirectory() as name, fake_service(Path(name)) as fake:
        settings, provider = {"HEARTBEAT_SECONDS": HEARTBEAT_SECONDS}, f"{fake.address}/v1"
        urls = {"WALDUR_CHAT_URLS": "tests.host.stopping"}
        with host(server, Path(name), model=MODEL, provider=provider, settings=settings, environment=urls) as running:
            for act in [leave, stop] * 10:
                act(running, fake)
            before = open_files(running).total(), threads(running)
            delays: dict[str, list[float]] = {"hang-ups": [], "stops": []}
            for _ in range(count):
                kind = random.choice(["hang-ups", "stops"])
                delays[kind].append({"hang-ups": leave, "stops": stop}[kind](running, fake))
            time.sleep(1)
            after = open_files(running).total(), threads(running)
    for kind, found in delays.items():
        found.sort()
        p50, p99 = (found[int(len(found) * share)] * 1000 for share in (0.5, 0.99))
        print(f"{server:17} {len(found)} {kind}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {found[-1] * 1000:.1f} ms")
    print(f"{server:17} descriptors {before[0]} -> {after[0]}, threads {before[1]} -> {after[1]}")


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--server", nargs="*", default=["uvicorn", "gunicorn-gthread"])
    options = parser.parse_args()
    for server in options.server:
        measure(server, options.count)


if __name__ == "__main__":
    main()
