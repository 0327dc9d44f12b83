"""The commands, each of which prints a table: `python -m tests.benchmarks.speed WHAT [--rounds N] [--only NAME ...]`.

Servers run on one core, the model service and the clients on the other; what is compared runs in turns, so that all see
the same machine, and the first round warms up. Medians are shown, and how far the rounds lie apart.

- `tokens`: processor time of the server for each token, all that a stream costs included: in burst (50 streams of 1,000
  tokens, as fast as can be) and paced (50 streams of 50 tokens, one each 10 ms); and for each stream, of one token.
- `stored`: the same with storage off and on, on PostgreSQL.
- `first`: the time to the first token beyond that of the model service, one stream and 50.
- `held`: 2,000 streams of a token each 200 ms: how late tokens arrive, and the memory of a stream.
- `invoke`: whole answers in a second, of models that answer at once, in one second and in three.
- `refused`: refusals in a second while all seats are taken, beside requests that nobody refuses and that ask no model.
- `growth`: a token's processor time as streams and answers grow.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from statistics import median, quantiles

import uvloop

from tests.acceptance.postgresql import pooled, postgresql_database, postgresql_server
from tests.benchmarks.speed import asking, servers
from tests.benchmarks.speed.servers import KNOWN, OTHER_CORE, Started
from tests.processes import Running

STREAMS = 50
KINDS = {"burst": ("fake:tokens=1000", 1000), "paced": ("fake:tokens=50&delay=0.01", 50), "one": ("fake:tokens=1", 1)}
PEERS = [
    "Starlette + aiohttp", "bare Django + aiohttp, lean", "bare Django + aiohttp, stock", "Starlette + httpx lines",
    "FastAPI + SDK", "Django ASGI + DRF + SDK", "DRF + SDK, gunicorn gthread", "LangServe", "LiteLLM proxy",
    servers.HOST,
]  # fmt: skip
OURS = ["ours", "ours, without the extra", "ours, granian", "ours, gunicorn gthread"]
GROWING = 5
HELD, HELD_RAMP, HELD_TOKENS = 2000, 40.0, 300
CONNECTIONS = 12
REFUSED = 2000


@contextmanager
def running(names: Sequence[str], *, has_postgresql: bool = False) -> Iterator[tuple[list[Started], Running]]:
    """These servers and their model service; this process stays on the core of the clients."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stack.enter_context(servers.pinned(OTHER_CORE))
        address = ""
        if has_postgresql:
            address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
            address = pooled(address, CONNECTIONS)
        source = stack.enter_context(servers.source_service(directory))
        yield stack.enter_context(servers.started(list(names), source, directory, address)), source


def token_costs(
    names: Sequence[str], rounds: int, *, has_postgresql: bool = False
) -> dict[str, dict[str, list[float]]]:
    """Microseconds of processor time for each token, by server and kind, of each round."""
    found: dict[str, dict[str, list[float]]] = {name: {kind: [] for kind in KINDS} for name in names}
    with running(names, has_postgresql=has_postgresql) as (started, _):
        for number in range(rounds + 1):
            for kind, (question, tokens) in KINDS.items():
                for one in started:
                    before = one.cpu_seconds()
                    requests = [one.request(question)] * STREAMS
                    last = "w0" if one.name == servers.HOST else f"w{tokens - 1}"
                    asyncio.run(asking.read_all(one.running.port, requests, last))
                    if number:
                        cost = (one.cpu_seconds() - before) / STREAMS / tokens * 1e6
                        found[one.name][kind].append(cost)
    return found


def show_costs(found: dict[str, dict[str, list[float]]], against: Sequence[str]) -> None:
    """A table of costs, and how many times ours those of some are: the median of what each round says by itself."""
    print(f"{'microseconds a token':30}" + "".join(f"{kind:>22}" for kind in KINDS))
    for name, costs in found.items():
        cells = (f"{median(costs[kind]):10.2f} ±{spread(costs[kind]):4.0%}" for kind in KINDS)
        print(f"{name:30}" + "".join(f"{cell:>22}" for cell in cells))
    for name, other in product((one for one in found if one.startswith("ours")), against):
        ratios = (f"{kind} {_times(found[other][kind], found[name][kind]):.2f}" for kind in KINDS)
        print(f"{other} / {name}: " + ", ".join(ratios))


def _times(some: Sequence[float], ours: Sequence[float]) -> float:
    return median(theirs / own for theirs, own in zip(some, ours, strict=True))


def spread(values: Sequence[float]) -> float:
    """Half of what lies between the least and the greatest, as a part of the median."""
    return (max(values) - min(values)) / 2 / median(values)


def measure_tokens(only: Sequence[str], rounds: int) -> None:
    """Ours and the peers."""
    names = only or [*OURS, *PEERS]
    show_costs(token_costs(names, rounds), [name for name in names if name in PEERS])


def measure_stored(only: Sequence[str], rounds: int) -> None:
    """With storage off and on."""
    names = only or ["ours, on PostgreSQL", "ours, stored"]
    show_costs(token_costs(names, rounds, has_postgresql=True), names[:1])


def measure_first(only: Sequence[str], rounds: int) -> None:
    """The time to the first token."""
    names = only or ["ours", "ours, gunicorn gthread", "Starlette + aiohttp", "Django ASGI + DRF + SDK"]
    with running(names) as (started, source):
        direct = servers.request("/v1/chat/completions", servers.messages("fake:tokens=3&delay=0.03"))
        alone: dict[str, list[float]] = {name: [] for name in ["direct", *names]}
        for number in range(rounds * 10 + 5):
            for name, port, one in [
                ("direct", source.port, direct),
                *((one.name, one.running.port, one.request("fake:tokens=3&delay=0.03")) for one in started),
            ]:
                reading = asyncio.run(asking.read(port, one))
                if number >= 5 and reading.first is not None:
                    alone[name].append(reading.first)
        busy: dict[str, list[float]] = {}
        question = "fake:tokens=40&delay=0.05"
        busy["direct"] = asyncio.run(
            _busily(source.port, servers.request("/v1/chat/completions", servers.messages(question)), rounds)
        )
        for one in started:
            busy[one.name] = asyncio.run(_busily(one.running.port, one.request(question), rounds))
    for name in ["direct", *names]:
        p50, p95 = median(alone[name]), quantiles(busy[name], n=20)[-1]
        added = (p50 - median(alone["direct"])) * 1e3, (p95 - median(busy["direct"])) * 1e3
        print(f"{name:30} alone p50 {p50 * 1e3:6.2f} ms, added {added[0]:6.2f};", end=" ")
        print(f"{STREAMS} streams: p95 {p95 * 1e3:6.2f} ms, above p50 of direct {added[1]:6.2f}")


async def _busily(port: int, request: bytes, rounds: int) -> list[float]:
    """The times to the first token of many streams, of which there are 50 at any time."""

    async def one_after_the_other() -> list[float]:
        await asyncio.sleep(random.uniform(0, 2))
        readings = [await asking.read(port, request) for _ in range(rounds + 1)]
        return [reading.first for reading in readings[1:] if reading.first is not None]

    return [first for some in await asyncio.gather(*(one_after_the_other() for _ in range(STREAMS))) for first in some]


def measure_held(only: Sequence[str], rounds: int) -> None:
    """Many streams at once."""
    del rounds
    question = f"fake:tokens={HELD_TOKENS}&delay=0.2&text=time"
    for name in only or ["ours"]:
        with running([name]) as ([one], _):
            asyncio.run(asking.read_all(one.running.port, [one.request("fake:tokens=20")] * 50, "w19"))
            before = one.memory()
            lateness, memory, ends = asyncio.run(_held(one, question, before))
            late = quantiles(lateness, n=100)
            print(f"{name}: {HELD} streams, {ends} with an end; {len(lateness)} tokens late by", end=" ")
            print(f"p50 {late[49] * 1e3:.1f} ms, p99 {late[98] * 1e3:.1f}, most {max(lateness) * 1e3:.1f};", end=" ")
            print(f"{memory / HELD / 1000:.1f} kB a stream")


async def _held(one: Started, question: str, before: int) -> tuple[list[float], int, int]:
    lateness = asking.Lateness()
    reading = []
    for _ in range(HELD):
        reading.append(asyncio.create_task(asking.read(one.running.port, one.request(question), lateness.hear)))
        await asyncio.sleep(HELD_RAMP / HELD)
    await asyncio.sleep(2)
    lateness.is_noted = True
    await asyncio.sleep(10)
    lateness.is_noted = False
    memory = one.memory() - before
    ended = [await task for task in reading]
    return lateness.found, memory, sum(b"event: end" in each.tail for each in ended)


def measure_invoke(only: Sequence[str], rounds: int) -> None:
    """Whole answers in a second."""
    names = only or ["ours", "ours, gunicorn gthread", "DRF + SDK, gunicorn gthread"]
    kinds = {
        "at once": ("fake:tokens=50", 16, 400),
        "in 1 second": ("fake:tokens=50&delay=0.02", 800, 2400),
        "in 3 seconds": ("fake:tokens=50&delay=0.06", 600, 800),
    }
    found: dict[tuple[str, str], list[float]] = {}
    with running(names) as (started, _):
        for number in range(rounds + 1):
            for kind, (question, at_once, count) in kinds.items():
                for one in started:
                    path = one.server.path.replace("stream", "invoke")
                    seconds = asyncio.run(_in_all(one, one.request(question, path), at_once, count))
                    if number:
                        found.setdefault((kind, one.name), []).append(count / seconds)
    for (kind, name), rates in found.items():
        print(f"{kind:12} {name:30} {median(rates):8.1f} a second ±{spread(rates):4.0%}", end="")
        print(f", {median(rates) / median(found[kind, names[-1]]):.2f} times {names[-1]}")


async def _in_all(one: Started, request: bytes, at_once: int, count: int) -> float:
    begun = time.monotonic()
    for reading in await asking.in_turns(one.running.port, [request] * count, at_once):
        asking.check(reading, "w49")
    return time.monotonic() - begun


def measure_refused(only: Sequence[str], rounds: int) -> None:
    """Refusals in a second."""
    names = only or ["ours, full", "ours, full, gunicorn gthread", servers.HOST]
    found: dict[str, list[float]] = {}
    with running(names) as (started, _):
        for number in range(rounds + 1):
            for one in started:
                rate = asyncio.run(_while_full(one))
                if number:
                    found.setdefault(one.name, []).append(rate)
    for name, rates in found.items():
        print(f"{name:30} {median(rates):8.1f} a second ±{spread(rates):4.0%}", end="")
        print(f", {median(rates) / median(found[names[-1]]):.2f} times {names[-1]}")


async def _while_full(one: Started) -> float:
    """Refusals in a second while one stream has the only seat; for a server without seats, its answers."""
    answers = asyncio.Event()
    request = one.request("fake:tokens=10000&delay=0.05")
    holder, _ = await asking.connect(one.running.port, request, lambda _: answers.set())
    await answers.wait()
    begun = time.monotonic()
    readings = await asking.in_turns(one.running.port, [one.request("Hello")] * REFUSED, at_once=16)
    seconds = time.monotonic() - begun
    holder.abort()
    if one.name != servers.HOST and not all(b"chat_busy" in each.tail for each in readings):
        raise RuntimeError("not all were refused")
    await asyncio.sleep(1)
    return REFUSED / seconds


def measure_growth(only: Sequence[str], rounds: int) -> None:
    """A token's cost beyond that of its stream."""
    with running(only or ["ours"]) as (started, _):
        for one in started:
            _slope(one, 10, "fake:tokens={}", 5, 10)  # The first question imports the SDK.
            for streams in (10, 100, 1000, 2000):
                costs = [
                    _slope(one, streams, "fake:tokens={}&delay=0.2", 5, 45 if streams > 10 else 145)
                    for _ in range(rounds if streams <= 100 else 1)
                ]
                print(f"{one.name}: {streams:5} streams, a token each 200 ms: {median(costs):.1f} us a token")
            for tokens in (250, 2_500, 25_000, 180_000):
                streams = max(GROWING, 50_000 // tokens)
                costs = [_slope(one, streams, "fake:tokens={}", 1, tokens, GROWING) for _ in range(rounds * 3)]
                print(f"{one.name}: {tokens:6} tokens in burst, {GROWING} at once: {median(costs):.2f} us a token")


def _slope(one: Started, streams: int, question: str, short: int, long: int, at_once: int | None = None) -> float:
    """Microseconds for each token that an answer is longer; all streams run at once, or so many."""
    used = {}
    for tokens in (short, long):
        before = one.cpu_seconds()
        requests = [one.request(question.format(tokens))] * streams
        for reading in asyncio.run(asking.in_turns(one.running.port, requests, at_once or streams)):
            asking.check(reading, f"w{tokens - 1}")
        used[tokens] = one.cpu_seconds() - before
    return (used[long] - used[short]) / streams / (long - short) * 1e6


COMMANDS: dict[str, Callable[[Sequence[str], int], None]] = {
    "tokens": measure_tokens,
    "stored": measure_stored,
    "first": measure_first,
    "held": measure_held,
    "invoke": measure_invoke,
    "refused": measure_refused,
    "growth": measure_growth,
}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed")
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help=f"some of: {'; '.join(KNOWN)}")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.install()
    COMMANDS[options.what](options.only, options.rounds)


if __name__ == "__main__":
    main()
