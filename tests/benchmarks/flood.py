"""Many requests at once against small limits: who is refused, how soon, and whether all others are answered.

python -m tests.benchmarks.flood [--requests 500] [--running 20] [--waiting 20] [--server uvicorn ...]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.processes import TOKEN, Running, fake_service, host, stats

MODEL = "tokens=10&delay=0.2"
BODY = json.dumps({"input": "Hello"})


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one client got, and the seconds from its request to the first byte of that."""

    status: int
    seconds: float
    retry_after: bool
    whole: bool


async def ask(server: Running, begin: asyncio.Event) -> Reply:
    """Connect, wait for the signal, ask, and read to the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    await begin.wait()
    sent_at = time.perf_counter()
    writer.write(
        f"POST /api/chat/stream/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    seconds = time.perf_counter() - sent_at
    body = await reader.read()
    writer.close()
    return Reply(
        status=int(head.split(b" ")[1]),
        seconds=seconds,
        retry_after=b"retry-after: " in head.lower(),
        whole=b"event: end" in body,
    )


async def at_once(server: Running, requests: int) -> list[Reply]:
    """All requests in the same moment."""
    begin = asyncio.Event()
    tasks = [asyncio.create_task(ask(server, begin)) for _ in range(requests)]
    await asyncio.sleep(2)
    begin.set()
    return list(await asyncio.gather(*tasks))


async def one_by_one(server: Running, filling: int, requests: int) -> list[Reply]:
    """One request after the other while the limits are full."""
    begin = asyncio.Event()
    begin.set()
    full = [asyncio.create_task(ask(server, begin)) for _ in range(filling)]
    await asyncio.sleep(1)
    replies = [await ask(server, begin) for _ in range(requests)]
    await asyncio.gather(*full)
    return [reply for reply in replies if reply.status != 200]


def _percentiles(replies: list[Reply]) -> str:
    seconds = sorted(reply.seconds * 1000 for reply in replies)
    return f"p50 {seconds[len(seconds) // 2]:.1f} ms, p99 {seconds[int(len(seconds) * 0.99)]:.1f} ms"


def measure(server: str, options: argparse.Namespace) -> None:
    """Print what became of the requests on one server."""
    settings = {
        "TURNS_PER_PROCESS": options.running,
        "QUEUE_LENGTH": options.waiting,
        "QUEUE_SECONDS": 60,
    }
    with tempfile.TemporaryDirectory() as name, fake_service(Path(name)) as fake:
        arguments = ("--threads", "100") if server == "gunicorn-gthread" else ()
        with host(
            server, Path(name), model=MODEL, provider=f"{fake.address}/v1", settings=settings, arguments=arguments
        ) as running:
            asyncio.run(at_once(running, 5))
            asked_before = stats(fake)["answers"]
            replies = asyncio.run(at_once(running, options.requests))
            refused = [reply for reply in replies if reply.status != 200]
            answered = [reply for reply in replies if reply.status == 200]
            asked = stats(fake)["answers"] - asked_before
            calm = asyncio.run(one_by_one(running, options.running + options.waiting, 200))
    print(f"{server}: {dict(Counter(reply.status for reply in replies))}; the provider answered {asked}")
    print(f"  answered whole: {sum(reply.whole for reply in answered)} of {len(answered)}")
    print(f"  refused with Retry-After: {sum(reply.retry_after for reply in refused)} of {len(refused)}")
    print(f"  refusals, all at once: {_percentiles(refused)}; the last after {max(r.seconds for r in refused):.2f} s")
    print(f"  refusals, one by one while full: {_percentiles(calm)} of {len(calm)}")


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--running", type=int, default=20)
    parser.add_argument("--waiting", type=int, default=20)
    parser.add_argument("--server", nargs="*", default=["uvicorn", "gunicorn-gthread"])
    options = parser.parse_args()
    for server in options.server:
        measure(server, options)


if __name__ == "__main__":
    main()
