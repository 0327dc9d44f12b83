"""Machines that are stopped and started again, one after the other, under readers who come back."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from tests.acceptance.cluster.machines import Cluster, Machine
from tests.acceptance.cluster.reader import Answer, Reader

PACE = 0.1
LONGEST = 150
SECONDS = 120.0
"""Whoever has no end within these hangs."""

BETWEEN_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Served:
    """What was sent to one reader, and what he has."""

    sent: str
    answer: Answer


async def roll(cluster: Cluster, streams: int, seed: int = 1) -> list[Served]:
    """Restart all machines while so many streams run through nginx; some begin meanwhile."""
    begun = asyncio.Event()

    async def one(number: int) -> Served:
        chance = random.Random(f"{seed} {number}")
        tokens = chance.randrange(LONGEST // 3, LONGEST)
        if number % 4 == 0:
            await begun.wait()
        await asyncio.sleep(chance.uniform(0, 2.0))
        reader = Reader([cluster.port], f"fake:tokens={tokens}&delay={PACE}")
        answer = await asyncio.wait_for(reader.read(), SECONDS)
        return Served(sent="".join(f"w{index} " for index in range(tokens)), answer=answer)

    served = [asyncio.create_task(one(number)) for number in range(streams)]
    await asyncio.sleep(3.0)
    begun.set()
    for machine in cluster.machines:
        await asyncio.to_thread(machine.stop)
        await asyncio.to_thread(machine.start)
        await asyncio.sleep(BETWEEN_SECONDS)
    return await asyncio.gather(*served)


async def come_back(machine: Machine, other: Machine, question: str) -> Answer:
    """Ask a machine and leave; come back to the other when the first has stopped."""
    reader = Reader([machine.port], question)
    reading = asyncio.create_task(reader.read())
    await asyncio.wait_for(reader.heard.wait(), SECONDS)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    await asyncio.to_thread(machine.stop)
    return await asyncio.wait_for(Reader([other.port], turn=reader.answer.turn).read(), SECONDS)
