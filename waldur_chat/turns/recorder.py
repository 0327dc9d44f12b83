"""Persists the outcome of turns before their terminal event is delivered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from math import ceil
from typing import Any, TypeVar

from django.db import DataError, Error, IntegrityError

from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Failed, Finished, StoredMessages, Terminal
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.finish import NO_USAGE, TurnOutcome
from waldur_chat.turns.heartbeat import Heartbeat, TrackedTurn, heartbeat_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

T = TypeVar("T")

RECORDING_SECONDS = 10.0
"""How long the reader of a turn waits until its answer is stored; then the end is delivered all the same."""

PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between attempts to store what a database did not take. No turn begins without one, so few wait."""

LOOK_SECONDS = 0.5
"""How often those that wait look whether the database is back."""

TRIES = 2
"""How many attempts the reader waits for."""

_worker = Worker("waldur-chat-turns")


_background: set[asyncio.Task[Any]] = set()  # A task that nobody holds may be collected while it runs.


def outcome_of(terminal: Terminal, text: str, model: str) -> TurnOutcome:
    """What is stored of a turn that ends so, with this text as its answer or title."""
    usage = terminal.usage or NO_USAGE
    match terminal:
        case Finished(reason=reason):
            return TurnOutcome(status="finished", reason=reason, text=text, model=model, usage=usage)
        case Cancelled():
            return TurnOutcome(status="cancelled", code=TurnCancelled.code, text=text, model=model, usage=usage)
        case Failed(error=error):
            return TurnOutcome(status="failed", code=error.code, text=text, model=model, usage=usage)


async def record(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> StoredMessages | None:
    """Store the outcome; tells where the messages are, None where it takes too long: then it goes on all the same.

    While it is stored later than that, the turn counts as running, and `tracked` says what its lease needs.
    """
    task = run_in_background(_record(turn_id, outcome, tracked))
    await asyncio.wait({task}, timeout=RECORDING_SECONDS)
    return task.result() if task.done() and not task.cancelled() else None


def run_in_background(doing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run it in a task of its own, shielded from the caller's cancellation."""
    task = asyncio.get_running_loop().create_task(doing)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


async def _record(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> StoredMessages | None:
    """Try a few times; a database that keeps failing is tried again later, when the reader has been told."""
    for pause in (0.0, *PAUSES[: TRIES - 1]):
        await asyncio.sleep(pause)
        with suppress(Error):
            return await _attempt(turn_id, outcome)
    run_in_background(_record_later(turn_id, outcome, tracked))
    return None


async def _record_later(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> None:
    """Meanwhile it counts as running: nobody takes it for dead, nor asks something else in its conversation."""
    heartbeat = heartbeat_of_process()
    heartbeat.add(turn_id, tracked)
    try:
        for number, pause in enumerate(PAUSES[TRIES - 1 :]):
            await _pause(pause, heartbeat)
            try:
                await _attempt(turn_id, outcome)
                return
            except (DataError, IntegrityError):
                if number > 0:  # To wait does not mend it, and keeps others out of the conversation.
                    return
            except Error:
                pass
    except asyncio.CancelledError:  # The process ends; what its workers are asked for they may still do.
        _worker.submit_batched(_end_all, (turn_id, outcome))
        raise
    finally:
        heartbeat.discard(turn_id)


async def _pause(seconds: float, heartbeat: Heartbeat) -> None:
    """Wait, but not longer than the database is away."""
    began, step = time.monotonic(), min(seconds, LOOK_SECONDS)
    for _ in range(ceil(seconds / step)):
        await asyncio.sleep(step)
        if heartbeat.back_at > began:
            return


async def _attempt(turn_id: str, outcome: TurnOutcome) -> StoredMessages | None:
    try:
        return await _worker.submit_batched(_end_all, (turn_id, outcome))
    except Error as error:
        logger.error("The end of turn %s could not be stored: %s", turn_id, type(error).__name__)
        raise


def _end_all(those: Sequence[tuple[str, TurnOutcome]]) -> list[StoredMessages | None]:
    heartbeat_of_process().finish_flush()  # What is written of a turn goes with its end; nothing may come after it.
    return finish.finish_turns(those)
