"""Two processes on one database, whose wall clocks step, on a machine that may be busy."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.cluster.reader import Answer, Reader
from tests.processes import Running, host, set_up

STEPS = (2.0, -2.0, 8.0, -8.0, 60.0, -60.0, 3600.0, -3600.0)
"""Seconds by which a wall clock steps: the correction of a clock, a resumed machine, a wrong time zone."""

STEP_EVERY_SECONDS = 1.5
PACE = 0.5
"""Seconds between two words of an answer."""

SECONDS = 120.0
"""Whoever has no end so long after the answers should have ended hangs."""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """The wall clock of a process: its file contains by how many seconds it is wrong."""

    file: Path

    def set(self, seconds: float) -> None:
        """Let it be wrong by so much, from one moment to the next."""
        new = self.file.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.file)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two processes, and the clock of each."""

    hosts: list[Running]
    clocks: list[Clock]


@contextmanager
def pair(directory: Path, *, database: str, **options: Any) -> Iterator[Pair]:
    """The host project twice on one database. See `tests.processes.host()`."""
    clocks = [Clock(file=directory / f"clock-{number}") for number in range(2)]
    set_up({"DJANGO_SETTINGS_MODULE": "tests.host.settings", "WALDUR_CHAT_DB": database})
    with ExitStack() as stack:

        def start(number: int) -> Running:
            clocks[number].set(0.0)
            stepping = {"DJANGO_SETTINGS_MODULE": "tests.host.stepping_settings"}
            environment = {**stepping, "WALDUR_CHAT_CLOCK": str(clocks[number].file)}
            log = directory / f"host-{number}.log"
            started = host(
                "uvicorn", directory, database=database, environment=environment, log=log, is_set_up=True, **options
            )
            return stack.enter_context(started)

        yield Pair(hosts=[start(0), start(1)], clocks=clocks)


@contextmanager
def burners(count: int) -> Iterator[None]:
    """So many processes that do nothing but use up the processor."""
    with ExitStack() as stack:
        for _ in range(count):
            burner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(burner.wait)
            stack.callback(burner.kill)
        yield


async def read_while_clocks_step(running: Pair, streams: int, seconds: float, seed: int = 1) -> list[Answer]:
    """So many answers of so many seconds, half of them in each process, each with a reader in the other process too.

    Meanwhile the clocks step. Gives what all readers have.
    """
    stepping = asyncio.create_task(_step(running.clocks, random.Random(seed)))
    question = f"fake:tokens={int(seconds / PACE)}&delay={PACE}"
    pairs = [_ask_and_rejoin(running, number % 2, question) for number in range(streams)]
    try:
        return [one for both in await asyncio.wait_for(asyncio.gather(*pairs), seconds + SECONDS) for one in both]
    finally:
        stepping.cancel()


async def _ask_and_rejoin(running: Pair, number: int, question: str) -> list[Answer]:
    asking = Reader([running.hosts[number].port], question)
    asked = asyncio.create_task(asking.read())
    await asyncio.wait({asked, asyncio.create_task(asking.heard.wait())}, return_when=asyncio.FIRST_COMPLETED)
    rejoined = Reader([running.hosts[1 - number].port], turn=asking.answer.turn)
    return list(await asyncio.gather(asked, rejoined.read()))


async def _step(clocks: list[Clock], chance: random.Random) -> None:
    """One of the clocks steps, is wrong for a while, and steps back or further."""
    while True:
        await asyncio.sleep(STEP_EVERY_SECONDS)
        chance.choice(clocks).set(chance.choice((0.0, *STEPS)))
