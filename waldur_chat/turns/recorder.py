"""Persists the outcome of a turn before its terminal event is delivered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from math import ceil
from typing import Any, TypeVar

from django.db import DataError, Error, IntegrityError

from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Failed, Finished, StoredMessages, Terminal
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.finish import NO_USAGE, TurnOutcome
from waldur_chat.turns.heartbeat import Heartbeat, TrackedTurn, heartbeat_of_process

logger = logging.getLogger("waldur_chat.lifecycle")

T = TypeVar("T")

RECORDING_SECONDS = 10.0
"""How long the terminal event waits for the recorder; then it is delivered anyway."""

RETRY_SECONDS = (0.2, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between attempts, if the database fails. A turn cannot begin without it, so few outcomes are waiting."""

POLL_SECONDS = 0.5
"""How often waiting outcomes check whether the database is back."""

READER_ATTEMPTS = 2
"""How many attempts the terminal event waits for."""

_worker = Worker("waldur-chat-turns")

# asyncio refers to tasks only weakly: https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
_background: set[asyncio.Task[Any]] = set()


def outcome_of(terminal: Terminal, text: str, model: str, *, text_start: int = 0, warning: str = "") -> TurnOutcome:
    """The outcome of a turn with this terminal event, and this text, from `text_start` on, as its answer or title."""
    outcome = TurnOutcome(
        status="finished",
        text=text[text_start:],
        text_start=text_start,
        warning=warning,
        model=model,
        usage=terminal.usage or NO_USAGE,
    )
    match terminal:
        case Finished(reason=reason):
            return replace(outcome, reason=reason)
        case Cancelled():
            return replace(outcome, status="cancelled", code=TurnCancelled.code)
        case Failed(error=error):
            return replace(outcome, status="failed", code=error.code)


async def record(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> StoredMessages | None:
    """Persist the outcome. Returns the ids of the messages, or None after `RECORDING_SECONDS`: then it continues.

    Until it is persisted the turn counts as running, and `tracked` says what is stored with its lease.
    """
    task = run_in_background(_record(turn_id, outcome, tracked))
    await asyncio.wait({task}, timeout=RECORDING_SECONDS)
    return task.result() if task.done() and not task.cancelled() else None


def run_in_background(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run the coroutine in a task of its own, shielded from the caller's cancellation."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _background.add(task)
    task.add_done_callback(_background.discard)
    return task


async def _record(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> StoredMessages | None:
    """Try a few times. If the database keeps failing, continue in the background, after the terminal event."""
    for pause in (0.0, *RETRY_SECONDS[: READER_ATTEMPTS - 1]):
        await asyncio.sleep(pause)
        with suppress(Error):
            return await _attempt(turn_id, outcome, tracked.tenant)
    run_in_background(_record_later(turn_id, outcome, tracked))
    return None


async def _record_later(turn_id: str, outcome: TurnOutcome, tracked: TrackedTurn) -> None:
    """Retry while the turn counts as running: its lease is renewed, and its conversation accepts no question."""
    heartbeat = heartbeat_of_process(tracked.tenant)
    heartbeat.add(turn_id, tracked)
    try:
        for number, pause in enumerate(RETRY_SECONDS[READER_ATTEMPTS - 1 :]):
            await _pause(pause, heartbeat)
            try:
                await _attempt(turn_id, outcome, tracked.tenant)
                return
            except (DataError, IntegrityError):
                if number > 0:  # Retrying does not help, and the conversation would stay blocked.
                    return
            except Error:
                pass
    except asyncio.CancelledError:  # The process exits: its worker still runs what is submitted.
        _submit(turn_id, outcome, tracked.tenant)
        raise
    finally:
        heartbeat.discard(turn_id)


async def _pause(seconds: float, heartbeat: Heartbeat) -> None:
    """Wait, but only until the database is back."""
    started_at, step = time.monotonic(), min(seconds, POLL_SECONDS)
    for _ in range(ceil(seconds / step)):
        await asyncio.sleep(step)
        if heartbeat.database_back_at > started_at:
            return


async def _attempt(turn_id: str, outcome: TurnOutcome, tenant: Tenant | None) -> StoredMessages | None:
    try:
        return await _submit(turn_id, outcome, tenant)
    except Error as error:
        logger.error("The end of turn %s could not be stored: %s", turn_id, type(error).__name__)
        raise


def _submit(turn_id: str, outcome: TurnOutcome, tenant: Tenant | None) -> asyncio.Future[StoredMessages | None]:
    return _worker.submit_batched(_end_all, (turn_id, outcome, tenant), tenant, size=len(outcome.text))


def _end_all(outcomes: Sequence[tuple[str, TurnOutcome, Tenant | None]]) -> list[StoredMessages | None]:
    """Finish turns of one tenant."""
    tenant = outcomes[0][2]
    heartbeat_of_process(tenant).finish_flush()  # The outcome replaces the partial output: none may follow it.
    return tenants.run_within(tenant, finish.finish_turns, [(turn_id, outcome) for turn_id, outcome, _ in outcomes])
