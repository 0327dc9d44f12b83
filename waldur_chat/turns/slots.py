"""Waits for the slots of a turn, which limit the running turns of all processes together.

Slots are rows of the database (`store.turns.slots`). If the database fails, turns run without them: the limits of each
process still apply.
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
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import slots
from waldur_chat.store.turns.slots import SITE

logger = logging.getLogger("waldur_chat.lifecycle")

POLL_SECONDS = 0.2

_worker = Worker("waldur-chat-store")


@asynccontextmanager
async def acquire_slots(
    record: TurnRecord, settings: Settings, began_at: float, tenant: Tenant | None = None
) -> AsyncIterator[None]:
    """Hold slots for a turn in all its scopes; `began_at` is when it began to wait, by its event loop's clock.

    Raises `TooManyTurns` and, after waiting in the queue, `ChatBusy`.
    """
    scopes = slots.slot_limits(settings, record.user_id)
    try:
        full = await _try_to_acquire(record, settings, scopes, tenant)
        if full == SITE:
            await _wait(record, settings, scopes, began_at + settings.queue_seconds, tenant)
        elif full:
            raise too_many(record.user_id)
        yield
    finally:
        await _release(record, tenant)


async def _wait(
    record: TurnRecord, settings: Settings, scopes: Mapping[str, int], deadline: float, tenant: Tenant | None
) -> None:
    """Poll until there is a slot. The queue of the process limits how many turns do so."""
    async with limiter_of_process().queued(settings):
        while full := await _try_to_acquire(record, settings, scopes, tenant):
            if full != SITE:
                raise too_many(record.user_id)
            if asyncio.get_running_loop().time() >= deadline:
                raise busy("No turn of the site ended in time")
            await asyncio.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)  # noqa: S311  # Not used for security.


async def _try_to_acquire(
    record: TurnRecord, settings: Settings, scopes: Mapping[str, int], tenant: Tenant | None
) -> str:
    try:
        seconds = settings.turn_seconds + settings.shutdown_seconds
        return await _worker.submit(tenants.run_within, tenant, slots.acquire, scopes, record.turn, seconds)
    # Fail open: a chat without a site-wide limit is better than none.
    except Error as error:
        logger.error("Turns are not counted over processes, since the database fails: %s", type(error).__name__)
        return ""


async def _release(record: TurnRecord, tenant: Tenant | None) -> None:
    try:
        await _worker.submit(tenants.run_within, tenant, slots.release, record.turn)
    except Error as error:
        logger.error("A slot is kept until it expires, since the database fails: %s", type(error).__name__)
