"""The commands."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from tests.acceptance.books import check_books, ends
from tests.acceptance.cluster import costs, cuts, deploys, kills, repeats, viewers
from tests.acceptance.cluster.figures import spread
from tests.acceptance.cluster.machines import Cluster, Machine, cluster
from tests.acceptance.cluster.reader import Reader
from tests.acceptance.databases import new_user, opened
from tests.acceptance.postgresql import pooled, postgresql_database, postgresql_server
from tests.processes import Running, fake_service, stats

MIXED = ["uvicorn", "gunicorn-gthread"]
CONNECTIONS = 12

PACES = {"&delay=0.05": (20, 420), "": (200, 4200)}
"""How the model says its tokens, and how many in a short answer and in a long one."""

COST_STREAMS = 50
ROUNDS = 3


@contextmanager
def place() -> Iterator[tuple[Path, Running, str]]:
    """A directory, a model service, and the address of a PostgreSQL database, open under the alias `databases.HOST`."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fake = stack.enter_context(fake_service(directory))
        address = stack.enter_context(postgresql_database(stack.enter_context(postgresql_server())))
        stack.enter_context(opened(address))
        yield directory, fake, address


@contextmanager
def started(servers: list[str], **options: Any) -> Iterator[tuple[Cluster, Running]]:
    """A cluster and its model service."""
    with place() as (directory, fake, address):
        options = {"database": pooled(address, CONNECTIONS), "provider": f"{fake.address}/v1", **options}
        with cluster(servers, directory, **options) as running:
            yield running, fake


def measure_cuts(count: int) -> None:
    """Streams that are cut and taken up again."""
    with started(MIXED) as (running, _):
        begun = time.monotonic()
        answers = asyncio.run(cuts.read_all([running.port], count, 100))
        seconds = time.monotonic() - begun
        complaints = running.complaints()
    same = sum(sent == answer.text for sent, answer in answers)
    connections = sum(answer.connections for _, answer in answers)
    refused = Counter(word for _, answer in answers for word in answer.refused)
    print(f"{count} streams on {connections} connections in {seconds:.0f} s: {same} byte-equal")
    print(f"  ends {dict(Counter(answer.outcome for _, answer in answers))}, refused {dict(refused)}")
    print(f"  characters {sum(len(sent) for sent, _ in answers)}, logs with exceptions {len(complaints)}")


def measure_kills(count: int) -> None:
    """Machines that are killed while they answer."""
    with started(["uvicorn"] * 4, settings=kills.SETTINGS) as (running, _):
        *victims, survivor = running.machines
        users = [[new_user() for _ in range(kills.TURNS)] for _ in victims]
        asyncio.run(Reader([survivor.port], "fake:tokens=2").read())  # From now on it looks after others.
        struck = asyncio.run(kills.strike_often(victims, [survivor.port], users, count))
        found = [(one, *kills.stored(one)) for one in struck]
        everybody = [user for group in users for user in group]
        how = ends(*everybody)
        used = check_books(everybody)
        complaints = running.complaints()
    words = kills.WORDS
    print(f"{count} kills, {len(struck)} turns; stored as {dict(Counter(status for _, status, _ in found))}")
    print(f"  readers were told {dict(Counter(one.answer.outcome for one in struck))}")
    print(f"  from the kill to the end at the reader: {spread(one.seconds for one in struck)}")
    print(f"  not a prefix of what was sent: {sum(not words.startswith(text) for _, _, text in found)}", end="; ")
    lost = [one.lost(text) for one, _, text in found]
    print(f"age of the oldest that was lost: {spread(lost)}, of {sum(age > 0.25 for age in lost)} above 250 ms")
    print(f"  the next question in the thread: {dict(Counter(one.again.outcome for one in struck))}")
    print(f"  the books agree: {used} tokens of {sum(how.values())} turns, {dict(how)}; exceptions {len(complaints)}")


def measure_deploy(count: int) -> None:
    """Machines that are stopped and started again, one after the other, while they answer."""
    for grace in (20, 2):
        with started(MIXED, settings={"SHUTDOWN_SECONDS": grace}) as (running, _):
            served = asyncio.run(deploys.roll(running, count))
            complaints = running.complaints()
        whole = sum(one.answer.text == one.sent for one in served)
        print(
            f"{count} streams, {grace} s of grace: {dict(Counter(one.answer.outcome for one in served))}, {whole} whole"
        )
        print(f"  connections {sum(one.answer.connections for one in served)}, logs with exceptions {len(complaints)}")


def measure_viewers(count: int) -> None:
    """Viewers of one turn on another machine."""
    with started(["uvicorn"] * 2) as (running, _):
        answers = asyncio.run(viewers.watch(*running.ports, count, "fake:tokens=200&delay=0.05"))
    same = sum(one.text == answers[0].text for one in answers[1:])
    print(f"{count} viewers, {same} of them with the whole answer; later than the first reader: ", end="")
    print(spread(viewers.lateness(answers)))


def measure_repeats(count: int) -> None:
    """The same key many times at once."""
    settings = {"USER_TOKENS_DAILY": 1_000_000}
    with started(["uvicorn", "gunicorn-gthread"] * 2, settings=settings) as (running, fake):
        for ask in (repeats.stream, repeats.invoke):
            user, asked = new_user(), stats(fake)["asked"]
            answers = asyncio.run(ask(running.ports, user.auth_token.key, count))
            texts = Counter(one if isinstance(one, str) else one.text for one in answers)
            print(f"{ask.__name__} {count} times: {dict(texts)}; asked {stats(fake)['asked'] - asked}", end=", ")
            print(f"charged {check_books([user])} tokens")


def measure_cost(count: int) -> None:
    """Statements of the log, and processor time with storage and without it: of a turn, and of each token in it."""
    used: dict[tuple[str, bool], list[float]] = {}
    with place() as (directory, fake, address), ExitStack() as stack:
        machines: dict[bool, Machine] = {}
        for stores in (False, True):
            (directory / str(stores)).mkdir()
            options = {"database": pooled(address, CONNECTIONS), "provider": f"{fake.address}/v1"}
            one = cluster(["uvicorn"], directory / str(stores), settings={"STORAGE": stores}, **options)
            machines[stores] = stack.enter_context(one).machines[0]
        for _ in range(ROUNDS + 1):
            for pace, lengths in PACES.items():
                for tokens, (stores, machine) in product(lengths, machines.items()):
                    before = costs.cpu_seconds(machine.process)
                    asyncio.run(costs.read_all(machine.port, f"fake:tokens={tokens}{pace}", COST_STREAMS))
                    seconds = (costs.cpu_seconds(machine.process) - before) / COST_STREAMS
                    used.setdefault((f"{pace}{tokens}", stores), []).append(seconds)
        with psycopg.connect(address, autocommit=True) as listener, ThreadPoolExecutor(1) as threads:
            asking = costs.read_all(machines[True].port, "fake:tokens=300&delay=0.05", count)
            reading = threads.submit(asyncio.run, asking)
            time.sleep(4)
            found = costs.statements_of_the_log(listener, 8)
            reading.result()
    print(f"{count} streams: {max(found.values()) / 8:.2f} statements a second for the log")
    for pace, (short, long) in PACES.items():
        off, on = (
            [median(used[f"{pace}{tokens}", stores][1:]) for tokens in (short, long)] for stores in (False, True)
        )
        without, stored = ((times[1] - times[0]) / (long - short) * 1e6 for times in (off, on))
        print(f"{pace or 'burst'}: {without:.1f} us a token without storage, {stored:.1f} us with it", end=", ")
        print(f"{stored / without:.2f} times; with {short} tokens {off[0] * 1e3:.1f} and {on[0] * 1e3:.1f} ms a turn")


COMMANDS = {
    "cuts": (measure_cuts, 1000),
    "kills": (measure_kills, 100),
    "deploy": (measure_deploy, 200),
    "viewers": (measure_viewers, 50),
    "idempotency": (measure_repeats, 50),
    "cost": (measure_cost, 200),
}


def main() -> None:
    """Run one."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rejoin")
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    measure, usual = COMMANDS[options.what]
    measure(options.count or usual)


if __name__ == "__main__":
    main()
