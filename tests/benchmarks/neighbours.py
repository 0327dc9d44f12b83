"""How long others wait while many very long answers are written: an ordinary page of the site, and lists of the API.

python -m tests.benchmarks.neighbours [--streams 60] [--tokens 140000] [--server uvicorn] [--only NAME ...]

One process serves all, on one core. The model service writes as fast as it is read, so the process has no idle moment;
it and the clients are on the other core. Beside the streams two pages are asked for four times a second, whether
earlier requests are answered or not.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import uvloop

from tests.acceptance.postgresql import postgresql_database, postgresql_server
from tests.benchmarks.speed import asking, servers
from tests.processes import TOKEN, Running, host

PAGES = ("/api/", "/api/chat-threads/")
PAUSE = 0.25
ALONE = 8
"""How often the pages are asked for before the streams."""

SETTINGS = {"TITLES": False, "ANSWER_MAX_LENGTH": 100_000_000}
KINDS = {"not stored": ("sqlite", False), "SQLite": ("sqlite", True), "PostgreSQL": ("postgresql", True)}


@contextmanager
def site(kind: str, server: str) -> Iterator[Running]:
    """A site with this kind of storage, and its model service."""
    database, stores = KINDS[kind]
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(servers.pinned(servers.OTHER_CORE))
        source = stack.enter_context(servers.source_service(directory))
        address = ""
        if database == "postgresql":
            address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
        with servers.pinned(servers.SERVER_CORE):
            settings, provider = {**SETTINGS, "STORAGE": stores}, f"{source.address}/v1"
            serving = host(server, directory, provider=provider, model="m", settings=settings, database=address)
            running = stack.enter_context(serving)
        yield running


async def get(port: int, page: str, waits: list[float]) -> None:
    """Ask for a page, and note the seconds until the whole of it."""
    head = f"GET {page} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {TOKEN}\r\nConnection: close\r\n\r\n"
    begun = time.monotonic()
    reading = await asking.read(port, head.encode())
    if b"chat" not in reading.tail and b"[" not in reading.tail:
        raise RuntimeError(f"this is not the page: {reading.tail!r}")
    waits.append(time.monotonic() - begun)


async def ask_for_pages(port: int, waits: dict[str, list[float]], ended: asyncio.Event) -> None:
    """Ask for all pages until the end, whoever waits."""
    asked: list[asyncio.Task[None]] = []
    while not ended.is_set():
        asked += [asyncio.create_task(get(port, page, waits[page])) for page in PAGES]
        await asyncio.sleep(PAUSE)
    await asyncio.gather(*asked)


async def measure(port: int, streams: int, tokens: int) -> tuple[float, dict[str, list[float]], dict[str, list[float]]]:
    """The seconds of the streams, and those of each page, before them and beside them."""
    alone: dict[str, list[float]] = {page: [] for page in PAGES}
    beside: dict[str, list[float]] = {page: [] for page in PAGES}
    await asking.read_all(port, [servers.request("/api/chat/stream/", {"input": "fake:tokens=1"})], "w0")
    for page in PAGES * ALONE:
        await get(port, page, alone[page])
    ended, begun = asyncio.Event(), time.monotonic()
    pages = asyncio.create_task(ask_for_pages(port, beside, ended))
    request = servers.request("/api/chat/stream/", {"input": f"fake:tokens={tokens}"})
    await asking.read_all(port, [request] * streams, f"w{tokens - 1}")
    seconds = time.monotonic() - begun
    ended.set()
    await pages
    return seconds, alone, beside


def p95(waits: list[float]) -> float:
    """The 95th percentile."""
    return sorted(waits)[int(len(waits) * 0.95)]


def main() -> None:
    """Measure each kind of storage, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=60)
    parser.add_argument("--tokens", type=int, default=140_000)
    parser.add_argument("--server", default="uvicorn")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help=f"some of: {', '.join(KINDS)}")
    options = parser.parse_args()
    uvloop.install()
    for kind in options.only or KINDS:
        with site(kind, options.server) as running:
            seconds, alone, beside = asyncio.run(measure(running.port, options.streams, options.tokens))
        print(f"{kind}: {options.streams} answers of {options.tokens} tokens in {seconds:.1f} s")
        for page in PAGES:
            waits = beside[page]
            print(
                f"  {page:20} alone {median(alone[page]) * 1000:6.1f} ms; beside them p50 {median(waits):6.2f} s,"
                f" p95 {p95(waits):6.2f} s, most {max(waits):6.2f} s ({len(waits)} requests)"
            )


if __name__ == "__main__":
    main()
