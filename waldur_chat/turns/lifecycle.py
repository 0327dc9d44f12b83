"""The surroundings of one turn, from its start to its report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from waldur_chat.conf import Settings
from waldur_chat.engine import reporting
from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.events import StoredMessages, Terminal, Usage
from waldur_chat.record import Caller, TurnRecord
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.slots import slot_limits
from waldur_chat.turns import recorder, slots, titles
from waldur_chat.turns.heartbeat import TrackedTurn, heartbeat_of_process
from waldur_chat.turns.titles import TitleSearch


class TurnLifecycle:
    """Combines what a turn needs: limiter and slots, heartbeat, title, recorder and reporting.

    `started` is what was written of the turn; if it contains no turn, nothing is recorded.
    """

    def __init__(self, settings: Settings, caller: Caller, started: StartedTurn) -> None:
        self.is_recorded = bool(started.turn)
        self.max_output_tokens = started.max_output_tokens
        self.record = TurnRecord(
            turn=started.turn or uuid4().hex,
            thread=started.thread,
            user_id=caller.user_id,
            request_id=caller.request_id,
        )
        self._settings = settings
        self._started = started
        self._title = TitleSearch(started, settings, caller.request_id) if started.title_turn else None
        self._began_at = 0.0
        self._log: EventLog | None = None
        self._tracked = TrackedTurn(record=self.record)

    def begin(self, log: EventLog, usage: Callable[[], Usage | None]) -> None:
        """Track the turn, so that its lease is renewed and its text flushed, and send `turn_started`."""
        self._began_at = _now()
        self._log = log
        reporting.begin(self.record)
        if self.is_recorded:
            # Without a conversation nobody can resume the turn, so its text is not flushed.
            row, flushed = self._started.row, log if self.record.thread else None
            self._tracked = TrackedTurn(record=self.record, usage=usage, log=flushed, row=row)
            heartbeat_of_process().add(self.record.turn, self._tracked)
        if self._title:
            self._title.reserve()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait for room in this process, then for slots among all processes if these are limited."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(limiter_of_process().enter(self.record.user_id, self._settings))
            if slot_limits(self._settings, self.record.user_id):
                await stack.enter_async_context(slots.acquire_slots(self.record, self._settings, self._began_at))
            yield

    def answer_started(self) -> None:
        """Request the title only now, from a provider that is known to answer."""
        self.record.first_event_seconds = self._seconds()
        if self._title:
            self._title.start()

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        """Stop tracking, settle the title, persist the outcome; the terminal event is delivered after that."""
        heartbeat_of_process().discard(self.record.turn)
        if self._title:
            await self._title.skip_unless_started()
        # Without the log: the lease is renewed while recording is retried, but no text is flushed.
        stored = await recorder.record(self.record.turn, self._outcome(terminal), replace(self._tracked, log=None))
        return replace(stored, question=self._started.question) if stored else None

    def report(self, terminal: Terminal) -> None:
        """Write the log record and send `turn_ended`."""
        reporting.end(self.record, terminal, self._seconds())

    def _outcome(self, terminal: Terminal) -> TurnOutcome:
        assert self._log is not None
        text = self._log.text.since(0)
        text = titles.cleaned(text) if self._started.is_title else text
        return recorder.outcome_of(terminal, text, self.record.model)

    def _seconds(self) -> float:
        return _now() - self._began_at


def _now() -> float:
    """The time of the turn's event loop."""
    return asyncio.get_running_loop().time()
