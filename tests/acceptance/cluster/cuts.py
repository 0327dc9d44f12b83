"""Readers whose connections are cut at random bytes, and who come back to any machine."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from urllib.parse import urlencode

from tests.acceptance.cluster.reader import Answer, Reader

WORDS = ["machine", "größer", "北京", "🚀", 'a\n"b"\\', "\t", "x" * 60, "👩‍👩‍👧", ":", "data:"]
MOST_CUTS = 5


def answer_of(chance: random.Random) -> tuple[str, str]:
    """A question and its answer, of characters of all lengths."""
    text = " ".join(chance.choices(WORDS, k=chance.randrange(20, 80)))
    return f"fake:{urlencode({'text': text, 'delay': chance.choice([0.005, 0.02, 0.05])})}", text


async def read_all(ports: Sequence[int], streams: int, at_once: int, seed: int = 1) -> list[tuple[str, Answer]]:
    """So many streams, each cut one to five times; gives what was sent and what has arrived."""
    free = asyncio.Semaphore(at_once)

    async def one(number: int) -> tuple[str, Answer]:
        chance = random.Random(f"{seed} {number}")
        question, text = answer_of(chance)
        cuts = [chance.randrange(1, 1200) for _ in range(chance.randint(1, MOST_CUTS))]
        async with free:
            return text, await asyncio.wait_for(Reader(ports, question, cuts=cuts).read(), 120)

    return await asyncio.gather(*map(one, range(streams)))
