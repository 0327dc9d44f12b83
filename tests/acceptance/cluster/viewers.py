"""Many who read one answer on another machine than the one that writes it."""

from __future__ import annotations

import asyncio
from bisect import bisect_left

from tests.acceptance.cluster.reader import Answer, Reader, until


async def watch(writer: int, elsewhere: int, viewers: int, question: str) -> list[Answer]:
    """Let the machine on the first port write, and so many read on the other; gives the answer of who asked first."""
    first = Reader([writer], question)
    asking = asyncio.create_task(first.read())
    assert await until(lambda: bool(first.answer.turn), 10)
    others = await asyncio.gather(*(Reader([elsewhere], turn=first.answer.turn).read() for _ in range(viewers)))
    return [await asking, *others]


def lateness(answers: list[Answer]) -> list[float]:
    """How many seconds after the first reader each other one had each piece of the answer, once all were reading.

    The smallest come first.
    """
    first, *others = answers
    late = []
    begun = max(one.arrivals[0][0] for one in others)
    for one in others:
        lengths = [length for _, length in one.arrivals]
        late += [one.arrivals[bisect_left(lengths, length)][0] - at for at, length in first.arrivals if at > begun]
    return sorted(late)
