"""How soon the provider's connection is closed after a client has left, and what is left behind.

python -m tests.benchmarks.hangups [--count 200] [--server uvicorn ...]
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from pathlib import Path

from tests.acceptance.streams import descriptors, eventually, open_stream, read_until, threads
from tests.processes import Running, fake_service, host, stats

MODEL = "tokens=400&delay=0.02&head=0.1"
HEARTBEAT_SECONDS = 2.0


def leave(server: Running, fake: Running) -> float:
    """Ask, leave at a random moment, and give the seconds until the fake service saw it."""
    before = len(stats(fake)["left"])
    connection = open_stream(server)
    if random.random() < 0.3:
        eventually(lambda: stats(fake)["answering"] == 1)
    else:
        read_until(connection, b"w%d " % random.randrange(20))
    left_at = time.time()
    connection.close()
    if not eventually(lambda: len(stats(fake)["left"]) > before):
        raise RuntimeError("the provider's connection stays open")
    return float(stats(fake)["left"][-1]) - left_at


def measure(server: str, count: int) -> None:
    """Print one line for a server."""
    with tempfile.TemporaryDirectory() as name, fake_service(Path(name)) as fake:
        settings = {"HEARTBEAT_SECONDS": HEARTBEAT_SECONDS}
        with host(server, Path(name), model=MODEL, provider=f"{fake.address}/v1", settings=settings) as running:
            for _ in range(20):
                leave(running, fake)
            before = descriptors(running), threads(running)
            delays = sorted(leave(running, fake) for _ in range(count))
            time.sleep(1)
            after = descriptors(running), threads(running)
    p50, p99 = (delays[int(len(delays) * share)] * 1000 for share in (0.5, 0.99))
    print(
        f"{server:17} {count} hang-ups: p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {delays[-1] * 1000:.1f} ms; "
        f"descriptors {before[0]} -> {after[0]}, threads {before[1]} -> {after[1]}"
    )


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
