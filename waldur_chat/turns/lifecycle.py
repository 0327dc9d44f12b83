"""The surroundings of one turn, from its start to its report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from uuid import uuid4

from waldur_chat.conf import Settings
from waldur_chat.engine import reporting
from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import StoredMessages, Terminal
from waldur_chat.messages import Prompt
from waldur_chat.metrics import observer
from waldur_chat.record import Caller, TurnRecord, TurnTimes, waiting
from waldur_chat.runtime import tenants
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import TurnOutcome
from waldur_chat.store.turns.slots import slot_limits
from waldur_chat.turns import recorder, slots, titles
from waldur_chat.turns.allowance import OutputAllowance
from waldur_chat.turns.heartbeat import TrackedTurn, heartbeat_of_process
from waldur_chat.turns.held_tokens import hold, reports_of_process
from waldur_chat.turns.titles import TitleSearch
from waldur_chat.wire.thoughts import answer_start


class TurnLifecycle:
    """Combines what a turn needs: limiter and slots, heartbeat, title, recorder and reporting.

    `started` is what was written of the turn; if it contains no turn, nothing is recorded. `prompt` is that of its
    answer: the title is asked for with the same facts about who asks. `times` has run since the question arrived, with
    `METRICS`.
    """

    def __init__(
        self,
        settings: Settings,
        caller: Caller,
        started: StartedTurn,
        prompt: Prompt | None = None,
        times: TurnTimes | None = None,
    ) -> None:
        self.is_recorded = bool(started.turn)
        self.allowance: OutputAllowance | None = None
        self.record = TurnRecord(
            turn=started.turn or uuid4().hex,
            thread=started.thread,
            user_id=caller.user_id,
            impersonator_id=caller.impersonator_id,
            request_id=caller.request_id,
            purpose="title" if started.is_title else "answer",
            times=times,
        )
        self._settings = settings
        self._started = started
        self._tenant = tenants.current()  # This is the thread of the request, whose connection has its schema.
        asked = prompt or Prompt(messages=started.messages, request_id=caller.request_id)
        self._title = TitleSearch(started, settings, asked, self._tenant) if started.title_turn else None
        self._began_at = 0.0
        self._log: EventLog | None = None
        self._tracked = TrackedTurn(record=self.record, tenant=self._tenant)

    def begin(self, log: EventLog, counter: UsageCounter) -> None:
        """Track the turn, so that its lease is renewed and its text flushed, and send `turn_started`."""
        self._began_at = _now()
        self._log = log
        reporting.begin(self.record, self._tenant)
        if self.is_recorded:
            # Without a conversation nobody can resume the turn, so its text is not flushed.
            flushed = log if self.record.thread else None
            heartbeat = heartbeat_of_process(self._tenant)
            held = hold(self._started.reserved, self.record.turn, self._settings, counter, heartbeat.request_adjustment)
            self.allowance = held.allowance if held else None
            self._tracked = TrackedTurn(
                record=self.record, usage=counter.total, log=flushed, tenant=self._tenant, held=held
            )
            heartbeat.add(self.record.turn, self._tracked)
        if self._title:
            self._title.reserve()

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait for room in this process, then for slots among all processes if these are limited."""
        async with AsyncExitStack() as stack:
            with observer().waiting(), waiting(self.record.times):
                await self._wait_for_room(stack)
            with observer().running():
                yield

    async def _wait_for_room(self, stack: AsyncExitStack) -> None:
        user = tenants.qualified(self.record.user_id, self._tenant)
        await stack.enter_async_context(limiter_of_process().enter(user, self._settings))
        if slot_limits(self._settings, self.record.user_id):
            acquired = slots.acquire_slots(self.record, self._settings, self._began_at, self._tenant)
            await stack.enter_async_context(acquired)

    def answer_started(self) -> None:
        """Request the title only now, from a provider that is known to answer."""
        self.record.first_event_seconds = self._seconds()
        if self._title:
            self._title.start()

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        """Stop tracking, settle the title, persist the outcome; the terminal event is delivered after that."""
        heartbeat_of_process(self._tenant).discard(self.record.turn)
        if self.allowance:
            reports_of_process(self._tenant).note(self.record.model, self.allowance.counter)
        if self._title:
            await self._title.skip_unless_started()
        # Without the log: the lease is renewed while recording is retried, but no text is flushed.
        stored = await recorder.record(
            self.record.turn, self._outcome(terminal), replace(self._tracked, log=None, held=None)
        )
        return replace(stored, question=self._started.question) if stored else None

    def report(self, terminal: Terminal) -> None:
        """Write the log record and send `turn_ended`."""
        reporting.end(self.record, terminal, self._seconds(), self._tenant)

    def _outcome(self, terminal: Terminal) -> TurnOutcome:
        assert self._log is not None
        text = self._log.text.since(0)
        warning = self._log.warned.text if self._log.warned else ""
        if self._started.is_title:
            return recorder.outcome_of(terminal, titles.cleaned(text), self.record.model)
        # Thoughts that the provider has separated from the text are not in it.
        start = 0 if self._log.reasoning.length else answer_start(text)
        return recorder.outcome_of(terminal, text, self.record.model, text_start=start, warning=warning)

    def _seconds(self) -> float:
        return _now() - self._began_at


def _now() -> float:
    """The time of the turn's event loop."""
    return asyncio.get_running_loop().time()
