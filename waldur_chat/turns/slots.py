"""Waiting for the slots of a turn: how many run at once in all processes together.

The slots are rows of the database (`store.turns.slots`). A database that fails does not stop the chat: the limits of
each process still hold.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from django.db import Error

from waldur_chat.conf import Settings
from waldur_chat.engine.limiter import busy, limiter_of_process, too_many
from waldur_chat.record import TurnRecord
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import slots
from waldur_chat.store.turns.slots import SITE

logger = logging.getLogger("waldur_chat.lifecycle")

POLL_SECONDS = 0.2

_worker = Worker("waldur-chat-store")


@asynccontextmanager
async def acquire_slots(record: TurnRecord, settings: Settings, began_at: float) -> AsyncIterator[None]:
    """Slots for a turn in all its scopes, which began to wait at this time of its event loop.

    Raises `TooManyTurns` and, after waiting in the queue, `ChatBusy`.
    """
    scopes = slots.slot_limits(settings, record.user_id)
    try:
        full = await _try_to_take(record, settings, scopes)
        if full == SITE:
            await _wait(record, settings, scopes, began_at + settings.queue_seconds)
        elif full:
            raise too_many(record.user_id)
        yield
    finally:
        await _give_back(record)


async def _wait(record: TurnRecord, settings: Settings, scopes: Mapping[str, int], deadline: float) -> None:
    """Ask again and again until there is a slot; a ticket of the queue bounds how many turns do so."""
    async with limiter_of_process().queued(settings):
        while full := await _try_to_take(record, settings, scopes):
            if full != SITE:
                raise too_many(record.user_id)
            if asyncio.get_running_loop().time() >= deadline:
                raise busy("No turn of the site ended in time")
            await asyncio.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)  # noqa: S311  # No secret.


async def _try_to_take(record: TurnRecord, settings: Settings, scopes: Mapping[str, int]) -> str:
    try:
        seconds = settings.turn_seconds + settings.shutdown_seconds
        return await _worker.submit(slots.acquire, scopes, record.turn, seconds)
    except Error as error:
        logger.error("Turns are not counted over processes, since the database fails: %s", type(error).__name__)
        return ""


async def _give_back(record: TurnRecord) -> None:
    try:
        await _worker.submit(slots.release, record.turn)
    except Error as error:
        logger.error("A slot is kept until it expires, since the database fails: %s", type(error).__name__)
