"""A turn: one prompt sent to a provider, whose answer is delivered as events.

The turn is a task on an event loop. Its first event determines the HTTP status, and it ends with exactly one terminal
event, whether the provider finishes or fails, a limit is reached, the turn is cancelled, the server stops, or the loop
ends and cancels its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import replace

from waldur_chat.conf import Settings
from waldur_chat.engine import running_turns
from waldur_chat.engine.answer_writer import AnswerWriter
from waldur_chat.engine.event_log import CAPACITY, EventLog, LogReader
from waldur_chat.engine.event_source import EventSource
from waldur_chat.engine.failover import Attempts, provider_failure
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.rounds.answer_rounds import AnswerRounds
from waldur_chat.engine.rounds.runner import ContextSource, ToolRunner
from waldur_chat.engine.rounds.tool_rounds import ToolRounds
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import BudgetUsedUp, ChatError, ProviderSilent, ServerStopping, TurnTooLong
from waldur_chat.events import COMPLETE, Cancelled, Failed, Finished, Terminal
from waldur_chat.messages import Prompt
from waldur_chat.runtime import shutdown, task_context
from waldur_chat.runtime.loop import background_loop

CLOSING_SECONDS = 1.0
"""How long the terminal event of a stopped turn may be delayed by the provider's closing."""


class Turn(EventSource):
    """One prompt, one answer, and its first reader.

    `start()`, `cancel()`, `close()`, `discard()` and `take_blocking()` may be called from any thread, all others on the
    turn's event loop.
    """

    __slots__ = (  # Thousands of turns may exist at once; a __dict__ for each would cost 1.5 kB.
        "_attempts",
        "_closing_timer",
        "_context",
        "_context_source",
        "_counter",
        "_leaving_timer",
        "_lifecycle",
        "_recording",
        "_shutdown_timer",
        "_stopping",
        "_task",
        "_tools",
        "_writer",
        "log",
        "record",
        "settings",
        "terminal",
    )

    def __init__(
        self,
        settings: Settings,
        prompt: Prompt,
        lifecycle: Lifecycle,
        runner: ToolRunner | None = None,
        context_source: ContextSource | None = None,
    ) -> None:
        super().__init__(lifecycle.record.turn)
        self.settings = settings
        self.record = lifecycle.record
        self.log = EventLog(capacity=None if lifecycle.is_recorded else CAPACITY)
        self._reader = self._open_reader()  # From the start: a turn without a reader counts as left.
        self._lifecycle = lifecycle
        self._counter = UsageCounter(prompt)
        self._attempts = Attempts(settings, prompt, self.record, self._counter)
        self._writer = AnswerWriter(self.log, self._counter, settings.answer_max_length, lifecycle)
        self._tools = ToolRounds(runner, settings, prompt, self._writer) if runner else None
        self._context_source = context_source
        self.terminal: Terminal | None = None
        """How the turn has ended; it is delivered when that is recorded, and the provider closed."""
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Handle | None = None
        self._recording: asyncio.Task[None] | None = None
        self._leaving_timer: asyncio.TimerHandle | None = None
        self._closing_timer: asyncio.TimerHandle | None = None
        self._shutdown_timer: asyncio.TimerHandle | None = None

    # The reader's side.

    @property
    def thread(self) -> str:
        return self.record.thread

    @property
    def ends_with_reader(self) -> bool:
        """True for a turn without a conversation: no other reader can resume it."""
        return not self.thread

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the turn's task on the loop."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin, task_context.detached())

    def cancel(self) -> None:
        """Close the provider's connection and end with `Cancelled`. Has no effect on a turn that has ended."""
        if self._loop is not None and not (self._task and self._task.done()):
            with suppress(RuntimeError):  # A closed loop has ended all its tasks.
                self._loop.call_soon_threadsafe(lambda: self._stop(self._cancelled()))

    def close(self) -> None:
        """Detach the first reader."""
        if self.ends_with_reader:
            self.cancel()
        elif self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed, see cancel().
                self._loop.call_soon_threadsafe(self._first_reader_left)

    def discard(self) -> None:
        """Run a stored turn on the background loop without a reader, since its rows in the database need an end."""
        if self._lifecycle.is_recorded:
            self.start(background_loop())
            self.close()

    def text_before_position(self) -> str:
        return ""

    def reader_left(self) -> None:
        """Handle the leaving of a reader: without any other the turn continues for `FINISH_SECONDS`."""
        seconds = self.settings.finish_seconds
        self._delay_shutdown_if_unread()
        if seconds is not None and self.terminal is None and not self.log.readers and self._leaving_timer is None:
            self._leaving_timer = self._running_loop.call_later(seconds, self._stop_if_unread)

    def on_server_stopping(self, stopping_for: float) -> None:
        """End with `ServerStopping` after the grace period, given how long the server has been stopping."""
        if self._shutdown_timer is None:
            left = max(0.0, self.settings.shutdown_seconds - stopping_for)
            self._shutdown_timer = self._running_loop.call_later(left, self._fail, ServerStopping(retry_after=1))

    def _open_reader(self) -> LogReader:
        return LogReader(self.log)

    def _first_reader_left(self) -> None:
        assert self._reader
        self._reader.close()
        self.reader_left()

    def _delay_shutdown_if_unread(self) -> None:
        """Register the tasks with the server, whose graceful shutdown otherwise waits only for requests."""
        for task in (self._task, self._recording):
            if task and not task.done() and not self.log.readers:
                shutdown.delay_until_done(task)

    def _stop_if_unread(self) -> None:
        self._leaving_timer = None
        if not self.log.readers and self.terminal is None:
            self._stop(self._cancelled())

    # The task.

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None
        return self._loop

    def _begin(self, make_context: Callable[[], Context]) -> None:
        # Not the context of the request, which the turn may outlive: see task_context.
        self._context = make_context()
        self._task = self._context.run(self._running_loop.create_task, self._run())

    async def _run(self) -> None:
        running_turns.add(self, self._running_loop)
        self._lifecycle.begin(self.log, self._counter)
        turn_timer = self._running_loop.call_later(self.settings.turn_seconds, self._fail, TurnTooLong())
        try:
            async with self._lifecycle.room():
                rounds = AnswerRounds(self, self._attempts, self._writer, self._lifecycle, self._tools)
                if self._context_source:
                    await rounds.add_context(self._context_source)
                self._settle(self._finished(await rounds.run()))
        except ChatError as error:
            self._settle(self._failed(error))
        except Exception as error:
            self._settle(self._failed(provider_failure(error)))
        except asyncio.CancelledError:
            # Delivered as an event by _settle() below. Raised, it would keep the frames, and with them the turn, alive
            # until the next garbage collection.
            pass
        finally:
            running_turns.discard(self, self._running_loop)
            self._stop_timers(turn_timer)
            self._settle(self._cancelled())
            self._deliver_when_recorded()

    # What the rounds of the task ask for.

    def stay_stopped(self) -> None:
        """Raise `CancelledError`: the turn has ended, but its provider did not let itself be cancelled."""
        assert self._stopping is not None
        self._stopping.cancel()  # Cancel only once, see _stop().
        raise asyncio.CancelledError

    def stop_idle(self) -> None:
        """End a silent turn: as finished if the provider has reported its stop reason, otherwise as failed."""
        is_complete = self._writer.stop_reason and not (self._tools and self._tools.has_calls)
        self._stop(self._finished(self._writer.stop_reason) if is_complete else self._failed(ProviderSilent()))

    def stop_at_length(self) -> None:
        """End an answer for which no tokens are left."""
        try:
            self._stop(self._writer.end(self._writer.end_of_tokens(), self._counter.total()))
        except BudgetUsedUp as error:
            self._stop(self._failed(error))

    # The end.

    def _stop(self, terminal: Terminal) -> None:
        """Cancel the task once: a second time would interrupt the provider while it closes its connection."""
        assert self._task is not None
        if self.terminal is None:
            self._settle(terminal)
            # call_soon: cancelled before its first step, the task would end without a terminal event.
            self._stopping = self._running_loop.call_soon(self._task.cancel)

    def _fail(self, error: ChatError) -> None:
        if self.terminal is None:
            self._stop(self._failed(error))

    def _finished(self, reason: str) -> Finished | Failed:
        return self._writer.end(reason or COMPLETE, self._counter.total(complete=True))

    def _cancelled(self) -> Cancelled:
        return Cancelled(usage=self._counter.total())

    def _failed(self, error: ChatError) -> Failed:
        """Build the terminal event, without the error's causes and frames: they refer to keys and prompts."""
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return Failed(error=error, usage=self._counter.total())

    def _settle(self, terminal: Terminal) -> None:
        """Accept the first terminal event, start recording it, and limit the delay until its delivery."""
        if self.terminal is None:
            self.terminal = terminal
            self._closing_timer = self._running_loop.call_later(CLOSING_SECONDS, self._deliver_when_recorded)
            if self._lifecycle.is_recorded:
                recording = self._record(terminal)
                self._recording = self._context.run(self._running_loop.create_task, recording)
                self._delay_shutdown_if_unread()

    async def _record(self, terminal: Terminal) -> None:
        """Record the outcome while the provider is being closed."""
        self.terminal = replace(terminal, stored=await self._lifecycle.finish(terminal))

    def _deliver_when_recorded(self) -> None:
        assert self._closing_timer is not None
        self._closing_timer.cancel()
        if self._recording is None or self._recording.done():
            self._deliver()
        else:
            self._recording.add_done_callback(lambda _: self._deliver())

    def _deliver(self) -> None:
        """Deliver the terminal event to readers and operators."""
        assert self.terminal is not None
        if self.log.terminal is None:
            # Readers first: the log handlers of the host may be slow.
            self.log.end(self.terminal)
            self._lifecycle.report(self.terminal)

    def _stop_timers(self, turn_timer: asyncio.TimerHandle) -> None:
        for timer in (turn_timer, self._shutdown_timer, self._leaving_timer):
            if timer:
                timer.cancel()
