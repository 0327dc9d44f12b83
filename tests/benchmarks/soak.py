"""Mixed traffic with faults, for a long time: memory, threads and descriptors stay flat, and every turn is in the log.

python -m tests.benchmarks.soak [--minutes 30] [--clients 20] [--server uvicorn]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from tests.acceptance.streams import open_files, threads
from tests.benchmarks.memory import resident
from tests.processes import TOKEN, Running, fake_service, host, stats

SETTINGS = {
    "CONNECT_SECONDS": 1,
    "FIRST_EVENT_SECONDS": 3,
    "SILENCE_SECONDS": 1,
    "TURN_SECONDS": 10,
    "HEARTBEAT_SECONDS": 1,
    "BREAKER_FAILURES": 100_000,
}
USUAL = ["tokens=20&delay=0.02", "tokens=200", "tokens=5&delay=0.2", "tokens=1", "first=0.5", "tokens=20&reasoning=x"]
FAULTS = [
    "status=500",
    "status=429",
    "status=401",
    "cut=2",
    "fault=2",
    "end=none",
    "first=30",
    "at=2&then=stall",
    "at=1&say=malformed",
    "at=1&say=endless-line",
    "at=1&say=half-event&then=reset",
    "status=500&retry_after=1",
]
FAULTY = 0.05


class Traffic:
    """What the clients sent and got."""

    def __init__(self, server: Running, end: float) -> None:
        self.server = server
        self.end = end
        self.outcomes: Counter[str] = Counter()
        self.ids: list[str] = []

    async def client(self) -> None:
        """Ask until the time is over."""
        while time.monotonic() < self.end:
            await self._ask()
            await asyncio.sleep(random.uniform(0, 0.1))

    async def _ask(self) -> None:
        faulty, leaves = random.random() < FAULTY, random.random() < FAULTY
        behaviour = random.choice(FAULTS if faulty else USUAL)
        path = random.choice(["stream", "invoke"])
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        request_id = uuid4().hex
        body = json.dumps({"input": f"fake:{behaviour}"})
        writer.write(
            f"POST /api/chat/{path}/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\n"
            f"X-Request-ID: {request_id}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        try:
            if leaves:
                await asyncio.wait_for(reader.read(random.choice([1, 200, 1000])), random.uniform(0.01, 0.5))
                outcome = "left"
            else:
                answer = await asyncio.wait_for(reader.read(), 60)
                outcome = f"{'faulty' if faulty else 'usual'} {path} {_ending(path, answer)}"
                self.ids.append(request_id)
        except (asyncio.TimeoutError, ConnectionError) as error:
            outcome = "left" if leaves else f"{path} {type(error).__name__}"
        finally:
            writer.close()
        self.outcomes[outcome] += 1


def _ending(path: str, answer: bytes) -> str:
    status = int(answer[9:12] or b"0")
    if status == 200 and path == "stream":
        return "whole" if b"event: end" in answer else "error event" if b"event: error" in answer else "cut"
    return str(status)


async def _watch(server: Running, end: float) -> None:
    while time.monotonic() < end:
        print(
            f"{max(0, end - time.monotonic()) / 60:5.1f} minutes left: {resident(server):6.1f} MB, "
            f"{threads(server)} threads, {open_files(server).total()} descriptors",
            flush=True,
        )
        await asyncio.sleep(min(60.0, max(0.1, end - time.monotonic())))


async def _run(server: Running, minutes: float, clients: int) -> Traffic:
    end = time.monotonic() + minutes * 60
    traffic = Traffic(server, end)
    await asyncio.gather(_watch(server, end), *(traffic.client() for _ in range(clients)))
    return traffic


def measure(server: str, minutes: float, clients: int) -> None:
    """Print how one server did."""
    with tempfile.TemporaryDirectory() as name, fake_service(Path(name)) as fake:
        with host(server, Path(name), provider=f"{fake.address}/v1", settings=SETTINGS) as running:
            asyncio.run(_run(running, 0.25, clients))
            time.sleep(5)
            before = resident(running), threads(running), open_files(running).total()
            running.log.write_text("")
            traffic = asyncio.run(_run(running, minutes, clients))
            time.sleep(15)
            after = resident(running), threads(running), open_files(running).total()
            log = running.log.read_text(errors="replace")
        left = stats(fake)["answering"], stats(fake)["open"]
    logged = Counter(re.findall(r"turn=\w+ request_id=(\w+)", log))
    print(f"{server}: {sum(traffic.outcomes.values())} requests: {dict(sorted(traffic.outcomes.items()))}")
    print(f"  memory {before[0]:.1f} -> {after[0]:.1f} MB, threads {before[1]} -> {after[1]}", end="")
    print(f", descriptors {before[2]} -> {after[2]}; the provider still answers {left[0]}, connections {left[1]}")
    print(f"  in the log: {len(logged)} turns; missing {len([one for one in traffic.ids if not logged[one]])}", end="")
    print(f", twice {sum(count > 1 for count in logged.values())}; tracebacks {log.count('Traceback')}")


def main() -> None:
    """Measure each server."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--server", nargs="*", default=["uvicorn"])
    options = parser.parse_args()
    for server in options.server:
        measure(server, options.minutes, options.clients)


if __name__ == "__main__":
    main()
