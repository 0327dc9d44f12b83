"""Waiting for the slots of a turn: how many run at once in all processes together.

The slots are rows of the database (`store.seats`). A database that fails does not stop the chat: the limits of each
process still hold.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from django.db import Error

from waldur_chat.engine.limiter import busy, limiter_of_process, too_many
from waldur_chat.engine.turn import Turn
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import slots

logger = logging.getLogger("waldur_chat.lifecycle")  # `waldur_chat.turns` has a record of each turn and nothing else.

POLL_SECONDS = 0.2

_worker = Worker("waldur-chat-store")


@asynccontextmanager
async def acquire_slots(turn: Turn) -> AsyncIterator[None]:
    """Slots for a turn in all its scopes. Raises `TooManyTurns` and, after waiting in the queue, `ChatBusy`."""
    scopes = slots.limits(turn.settings, turn.record.user_id)
    try:
        full = await _try_to_take(turn, scopes)
        if full == slots.SITE:
            await _wait(turn, scopes)
        elif full:
            raise too_many(turn.record.user_id)
        yield
    finally:
        await _give_back(turn)


async def _wait(turn: Turn, scopes: Mapping[str, int]) -> None:
    """Ask again and again until there is a slot; a place in the queue bounds how many turns do so."""
    async with limiter_of_process().queued(turn.settings):
        while full := await _try_to_take(turn, scopes):
            if full != slots.SITE:
                raise too_many(turn.record.user_id)
            if turn.age >= turn.settings.queue_seconds:
                raise busy("No turn of the site ended in time")
            await asyncio.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)  # noqa: S311  # No secret.


async def _try_to_take(turn: Turn, scopes: Mapping[str, int]) -> str:
    try:
        seconds = turn.settings.turn_seconds + turn.settings.shutdown_seconds
        return await _worker.do(slots.take, scopes, turn.id, seconds)
    except Error as error:
        logger.error("Turns are not counted over processes, since the database fails: %s", type(error).__name__)
        return ""


async def _give_back(turn: Turn) -> None:
    try:
        await _worker.do(slots.give_back, turn.id)
    except Error as error:
        logger.error("A seat is kept until it expires, since the database fails: %s", type(error).__name__)
