"""How many turns of a user, and of the site, run at once in all processes together.

Seats are numbered, and no two turns can have the same: so a limit cannot be overshot, however many processes take at
once, and nobody holds a lock. A database that fails does not stop the chat: the limits of the process still hold.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta

from django.db import Error, IntegrityError, transaction
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.engine.limiter import busy, limiter_of_process, too_many
from waldur_chat.engine.turn import Turn
from waldur_chat.models import Seat
from waldur_chat.runtime.worker import Worker

logger = logging.getLogger(__name__)

SITE = "site"
POLL_SECONDS = 0.2

_worker = Worker("waldur-chat-store")


class _Full(Exception):
    """The scope has no free seat."""


def limits(settings: Settings, user_id: str) -> dict[str, int]:
    """How many seats each scope of a turn has; empty where nothing is limited beyond the process."""
    of_user = settings.turns_per_user if user_id else None
    found = {f"user:{user_id}": of_user, SITE: settings.turns_per_site}
    return {scope: limit for scope, limit in found.items() if limit is not None}


@asynccontextmanager
async def held(turn: Turn) -> AsyncIterator[None]:
    """Seats for a turn in all its scopes. Raises `TooManyTurns` and, after waiting in the queue, `ChatBusy`."""
    scopes = limits(turn.settings, turn.record.user_id)
    try:
        full = await _try_to_take(turn, scopes)
        if full == SITE:
            await _wait(turn, scopes)
        elif full:
            raise too_many(turn.record.user_id)
        yield
    finally:
        await _give_back(turn)


def take(scopes: Mapping[str, int], turn: str, seconds: float) -> str:
    """Take a seat in each scope, or none and tell the scope that is full (empty: none is). Seats expire in time."""
    now = timezone.now()
    try:
        with transaction.atomic():
            # A write comes first: SQLite refuses who has read and then writes beside another writer.
            Seat.objects.filter(expires__lte=now).delete()
            for scope, limit in scopes.items():
                _take(Seat(scope=scope, turn=turn, expires=now + timedelta(seconds=seconds)), limit)
    except _Full as full:
        return str(full)
    return ""


def give_back(turn: str) -> None:
    """Give back the seats of a turn."""
    Seat.objects.filter(turn=turn).delete()


def _take(seat: Seat, limit: int) -> None:
    taken = set(Seat.objects.filter(scope=seat.scope).values_list("number", flat=True))
    free = [] if len(taken) >= limit else sorted(set(range(1, limit + 1)) - taken)
    random.shuffle(free)  # Others take at the same time; they had better not try the same one.
    for seat.number in free:
        try:
            with transaction.atomic():
                seat.save(force_insert=True)
                return
        except IntegrityError:
            continue
    raise _Full(seat.scope)


async def _wait(turn: Turn, scopes: Mapping[str, int]) -> None:
    """Ask again and again until there is a seat; a place in the queue bounds how many do so."""
    async with limiter_of_process().queued(turn.settings):
        while full := await _try_to_take(turn, scopes):
            if full != SITE:
                raise too_many(turn.record.user_id)
            if turn.age >= turn.settings.queue_seconds:
                raise busy("No turn of the site ended in time")
            await asyncio.sleep(random.uniform(0.5, 1.5) * POLL_SECONDS)  # noqa: S311  # No secret.


async def _try_to_take(turn: Turn, scopes: Mapping[str, int]) -> str:
    try:
        return await _worker.do(take, scopes, turn.id, turn.settings.turn_seconds + turn.settings.shutdown_seconds)
    except Error as error:
        logger.error("Turns are not counted over processes, since the database fails: %s", type(error).__name__)
        return ""


async def _give_back(turn: Turn) -> None:
    try:
        await _worker.do(give_back, turn.id)
    except Error as error:
        logger.error("A seat is kept until it expires, since the database fails: %s", type(error).__name__)
