"""Machines that are killed while they answer: what is left of their answers, and how soon somebody has ended them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import UUID

from tests.acceptance.cluster.machines import Machine
from tests.acceptance.cluster.reader import Answer, Reader
from tests.acceptance.databases import HOST
from waldur_chat.models import Turn

TURNS = 20
SHORT = 3
"""So many of them end at about the time of the kill."""

PACE = 0.03
WORDS = "".join(f"w{index} " for index in range(2000))
"""What the model service says, word by word."""

SETTINGS = {"USER_TOKENS_DAILY": 1_000_000_000, "TITLES": False}
"""There is a limit, so that something is held for each turn."""


@dataclass(frozen=True, kw_only=True)
class Struck:
    """One answer whose machine was killed: how old the first character is that is lost, and how soon the end was told.

    `again` is how a new question in its conversation ended.
    """

    answer: Answer
    words: int
    killed: float
    told: float
    again: Answer

    @property
    def seconds(self) -> float:
        """From the kill to the end of the answer, for its reader."""
        return self.told - self.killed

    def lost(self, stored: str) -> float:
        """The seconds between the arrival of the first character that is not stored, and the kill; 0 if none was lost.

        Only what had arrived before the kill counts.
        """
        return max(
            (self.killed - at for at, length in self.answer.arrivals if length > len(stored) and at < self.killed),
            default=0.0,
        )


async def strike(victim: Machine, others: Sequence[int], users: Sequence[Any], chance: random.Random) -> list[Struck]:
    """Kill a machine that answers each of these users, who then come back to the others; it is left dead."""
    until = chance.uniform(0.7, 2.5)
    words = [2000 if number >= SHORT else int(until / PACE) for number in range(len(users))]
    readers = [
        Reader([victim.port, *others * 50], f"fake:tokens={tokens}&delay={PACE}", token=user.auth_token.key)
        for user, tokens in zip(users, words, strict=True)
    ]
    reading = [asyncio.create_task(_timed(reader)) for reader in readers]
    await asyncio.wait_for(asyncio.gather(*(reader.heard.wait() for reader in readers)), 30)
    await asyncio.sleep(until)
    killed = time.monotonic()
    victim.kill()
    told = [await asyncio.wait_for(one, 30) for one in reading]
    again = [
        Reader(others, "fake:tokens=2", token=user.auth_token.key, thread=reader.answer.thread).read()
        for user, reader in zip(users, readers, strict=True)
    ]
    answers = await asyncio.wait_for(asyncio.gather(*again), 60)
    return [
        Struck(answer=reader.answer, words=tokens, killed=killed, told=at, again=anew)
        for reader, tokens, at, anew in zip(readers, words, told, answers, strict=True)
    ]


async def strike_often(
    victims: Sequence[Machine], others: Sequence[int], users: Sequence[Sequence[Any]], times: int
) -> list[Struck]:
    """Kill these machines in turns, all at the same time, each with users of its own; and start them again."""
    struck: list[Struck] = []
    left = count()

    async def lane(victim: Machine, own: Sequence[Any]) -> None:
        while (number := next(left)) < times:
            struck.extend(await strike(victim, others, own, random.Random(number)))
            await asyncio.to_thread(victim.start)

    await asyncio.gather(*map(lane, victims, users))
    return struck


def stored(struck: Struck) -> tuple[str, str]:
    """How the turn has ended, and the text of its answer, as they are stored."""
    turn = Turn.objects.using(HOST).select_related("answer").get(uuid=UUID(struck.answer.turn))
    return turn.status, turn.answer.text if turn.answer else ""


async def _timed(reader: Reader) -> float:
    await reader.read()
    return time.monotonic()
