"""Keeps turns in the store: what one leaves behind is there before its reader is told of the end."""

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

from waldur_chat.engine.turn import Turn
from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Failed, Finished, StoredMessages, Terminal
from waldur_chat.runtime.worker import Worker
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import NOTHING, TurnOutcome
from waldur_chat.turns import titles
from waldur_chat.turns.heartbeat import Heartbeat, TrackedTurn, heartbeat_of_process

logger = logging.getLogger(__name__)

T = TypeVar("T")

KEEPING_SECONDS = 10.0
"""How long the reader of a turn waits until its answer is stored; then he is told all the same."""

PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds between attempts to store what a database did not take. No turn begins without it, so few wait."""

LOOK_SECONDS = 0.5
"""How often those that wait look whether it is back."""

TRIES = 2
"""How many of them the reader waits for."""

_worker = Worker("waldur-chat-turns")


class TurnRecorder:
    """Keeps one turn, and finds the title of its conversation beside it where that is wanted."""

    def __init__(self, begun: StartedTurn) -> None:
        self.turn = begun.turn
        self.thread = begun.thread
        self.max_output_tokens = begun.max_output_tokens
        self._begun = begun
        self._titling: asyncio.Task[None] | None = None

    def start(self, turn: Turn) -> None:
        """See Recorder.start()."""
        log = turn.log if self.thread else None
        heartbeat_of_process().add(self.turn, TrackedTurn(turn=turn, log=log, row=self._begun.row))
        if self._begun.title_turn:
            heartbeat_of_process().add(self._begun.title_turn, TrackedTurn(turn=turn, log=None, row=0))

    def answer(self, turn: Turn) -> None:
        """See Recorder.answer(). Only now a title is asked for: of a model that answers."""
        if self._begun.title_turn:
            self._titling = _go_on(self._find_title(turn))

    async def end(self, turn: Turn, terminal: Terminal) -> StoredMessages | None:
        """See Recorder.end()."""
        heartbeat_of_process().discard(self.turn)
        ending = TurnOutcome(
            status=_status(terminal),
            code=_code(terminal),
            reason=terminal.reason if isinstance(terminal, Finished) else "",
            text=titles.cleaned(turn.text) if self._begun.is_title else turn.text,
            model=turn.record.model,
            usage=terminal.usage or NOTHING,
        )
        if self._begun.title_turn and self._titling is None:
            await self._end_title(turn, titles.Title(text="", model="", usage=None))
        stored = await _within(KEEPING_SECONDS, _stored(self.turn, ending, turn))
        return replace(stored, question=self._begun.question) if stored else None

    async def _find_title(self, turn: Turn) -> None:
        question = self._begun.messages[-1].text
        title = titles.Title(text="", model="", usage=None)
        try:
            title = await titles.ask(question, turn.settings, turn.record.request_id)
        finally:
            await self._end_title(turn, replace(title, text=title.text or titles.first_words(question)))

    async def _end_title(self, turn: Turn, title: titles.Title) -> None:
        heartbeat_of_process().discard(self._begun.title_turn)
        ending = TurnOutcome(status="finished", text=title.text, model=title.model, usage=title.usage or NOTHING)
        await _within(KEEPING_SECONDS, _stored(self._begun.title_turn, ending, turn))


_kept: set[asyncio.Task[Any]] = set()  # A task that nobody holds may be collected while it runs.


async def _stored(turn_id: str, ending: TurnOutcome, turn: Turn) -> StoredMessages | None:
    """Store the end of a turn, or of the one that looks for its title.

    A database that keeps failing is tried again later, when the reader has been told.
    """
    for pause in (0.0, *PAUSES[: TRIES - 1]):
        await asyncio.sleep(pause)
        with suppress(Error):
            return await _attempt(turn_id, ending)
    _go_on(_store_later(turn_id, ending, TrackedTurn(turn=turn, log=None, row=0)))
    return None


async def _store_later(turn_id: str, ending: TurnOutcome, tracked: TrackedTurn) -> None:
    """Meanwhile it counts as running: nobody takes it for dead, nor asks something else in its conversation."""
    heartbeat = heartbeat_of_process()
    heartbeat.add(turn_id, tracked)
    try:
        for number, pause in enumerate(PAUSES[TRIES - 1 :]):
            await _pause(pause, heartbeat)
            try:
                await _attempt(turn_id, ending)
                return
            except (DataError, IntegrityError):
                if number > 0:  # To wait does not mend it, and keeps others out of the conversation.
                    return
            except Error:
                pass
    except asyncio.CancelledError:  # The process ends; what its workers are asked for they may still do.
        _worker.submit_batched(_end_all, (turn_id, ending))
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


async def _attempt(turn_id: str, ending: TurnOutcome) -> StoredMessages | None:
    try:
        return await _worker.submit_batched(_end_all, (turn_id, ending))
    except Error as error:
        logger.error("The end of turn %s could not be stored: %s", turn_id, type(error).__name__)
        raise


def _end_all(those: Sequence[tuple[str, TurnOutcome]]) -> list[StoredMessages | None]:
    heartbeat_of_process().finish_flush()  # What is written of a turn goes with its end; nothing may come after it.
    return finish.end_all(those)


async def _within(seconds: float, storing: Coroutine[Any, Any, StoredMessages | None]) -> StoredMessages | None:
    """What it gives, or None when it takes too long: then it goes on all the same."""
    task = _go_on(storing)
    await asyncio.wait({task}, timeout=seconds)
    return task.result() if task.done() and not task.cancelled() else None


def _go_on(doing: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Do it whoever waits for it."""
    task = asyncio.get_running_loop().create_task(doing)
    _kept.add(task)
    task.add_done_callback(_kept.discard)
    return task


def _status(terminal: Terminal) -> str:
    match terminal:
        case Finished():
            return "finished"
        case Cancelled():
            return "cancelled"
        case Failed():
            return "failed"


def _code(terminal: Terminal) -> str:
    match terminal:
        case Finished():
            return ""
        case Cancelled():
            return TurnCancelled.code
        case Failed(error=error):
            return error.code
