"""A turn: one prompt put to a provider, told as events.

The turn is a task on an event loop. Its status is known with its first event, and it ends with exactly one terminal
event whatever happens: the provider finishes or fails, a limit is reached, somebody cancels it, the server stops, the
loop ends and cancels its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from contextvars import Context
from dataclasses import replace

from waldur_chat.conf import Settings
from waldur_chat.engine import running_turns
from waldur_chat.engine.answer_writer import AnswerWriter
from waldur_chat.engine.event_log import CAPACITY, EventLog, LogReader
from waldur_chat.engine.event_source import EventSource
from waldur_chat.engine.failover import Attempts, failure
from waldur_chat.engine.idle_timeout import IdleTimeout
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import ChatError, ProviderSilent, ServerStopping, TurnTooLong
from waldur_chat.events import Cancelled, Failed, Finished, ProviderEvent, Stopped, Terminal
from waldur_chat.messages import Prompt
from waldur_chat.runtime import shutdown, task_context
from waldur_chat.runtime.loop import background_loop

TRAILING_SECONDS = 5.0
"""How long a provider that has said why it stopped may take to say the rest: usage, and that nothing follows."""

CLOSING_SECONDS = 1.0
"""How long the reader of a turn that is stopped waits until what it held is closed; then it is told all the same."""


class Turn(EventSource):
    """One prompt, one answer, and its first reader.

    `start()`, `cancel()`, `close()`, `discard()` and `take_blocking()` are for any thread; everything else belongs to
    the turn's event loop.
    """

    __slots__ = (  # There are thousands at once: without them each has a dict of 1.5 kB.
        "_attempts",
        "_closing_timer",
        "_context",
        "_counter",
        "_idle_timeout",
        "_leaving_timer",
        "_lifecycle",
        "_recording",
        "_shutdown_timer",
        "_stopping",
        "_task",
        "_terminal",
        "_writer",
        "log",
        "record",
        "settings",
    )

    def __init__(self, settings: Settings, prompt: Prompt, lifecycle: Lifecycle) -> None:
        super().__init__(lifecycle.record.turn)
        self.settings = settings
        self.record = lifecycle.record
        self.log = EventLog(capacity=None if lifecycle.is_recorded else CAPACITY)
        self._reader = LogReader(self.log)  # From the beginning on: without a reader the turn would be left.
        self._lifecycle = lifecycle
        self._counter = UsageCounter(prompt)
        self._attempts = Attempts(settings, prompt, self.record, self._counter)
        self._writer = AnswerWriter(self.log, self._counter, settings.answer_max_length, lifecycle)
        self._terminal: Terminal | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping: asyncio.Handle | None = None
        self._recording: asyncio.Task[None] | None = None
        self._idle_timeout: IdleTimeout | None = None
        self._leaving_timer: asyncio.TimerHandle | None = None
        self._closing_timer: asyncio.TimerHandle | None = None
        self._shutdown_timer: asyncio.TimerHandle | None = None

    # The reader's side.

    @property
    def thread(self) -> str:
        """The conversation; empty where there is none."""
        return self.record.thread

    @property
    def ends_with_reader(self) -> bool:
        """Whether it is stopped when its reader leaves: nobody can come back to a turn that has no conversation."""
        return not self.thread

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to run on the loop."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin, task_context.detached())

    def cancel(self) -> None:
        """Stop: close the provider's connection and end with `Cancelled`. Does nothing to a turn that has ended."""
        if self._loop is not None and not (self._task and self._task.done()):
            with suppress(RuntimeError):  # The loop is closed, and with it every task has ended.
                self._loop.call_soon_threadsafe(lambda: self._stop(self._cancelled()))

    def close(self) -> None:
        """The first reader has gone."""
        if self.ends_with_reader:
            self.cancel()
        elif self._loop is not None:
            with suppress(RuntimeError):  # The loop is closed, see cancel().
                self._loop.call_soon_threadsafe(self._first_reader_left)

    def discard(self) -> None:
        """Nobody will start it. What was written of it needs an end, like that of a turn whose reader leaves."""
        if self._lifecycle.is_recorded:
            self.start(background_loop())
            self.close()

    def text_before_position(self) -> str:
        """Nothing: the first reader has no text yet."""
        return ""

    def reader_left(self) -> None:
        """A reader has gone: when no other is there, the turn goes on for as long as the settings have it."""
        seconds = self.settings.finish_seconds
        self._hold_if_left()
        if seconds is not None and self._terminal is None and not self.log.readers and self._leaving_timer is None:
            self._leaving_timer = self._running_loop.call_later(seconds, self._stop_if_left)

    def wind_down(self, stopping_for: float) -> None:
        """The server has been stopping for so many seconds: end when the time of grace is over."""
        if self._shutdown_timer is None:
            left = max(0.0, self.settings.shutdown_seconds - stopping_for)
            self._shutdown_timer = self._running_loop.call_later(left, self._fail, ServerStopping(retry_after=1))

    def _open_reader(self) -> LogReader:
        return LogReader(self.log)

    def _first_reader_left(self) -> None:
        if self._reader:
            self._reader.close()
        self.reader_left()

    def _hold_if_left(self) -> None:
        """Let the server wait, as it would for a reader: nobody else keeps it until the turn is recorded."""
        for task in (self._task, self._recording):
            if task and not task.done() and not self.log.readers:
                shutdown.hold(task)

    def _stop_if_left(self) -> None:
        self._leaving_timer = None
        if not self.log.readers and self._terminal is None:
            self._stop(self._cancelled())

    # How it runs.

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None
        return self._loop

    def _begin(self, make_context: Callable[[], Context]) -> None:
        self._context = make_context()
        self._task = self._context.run(self._running_loop.create_task, self._run())

    async def _run(self) -> None:
        running_turns.add(self, self._running_loop)
        self._lifecycle.begin(self.log, self._counter.total)
        turn_timer = self._running_loop.call_later(self.settings.turn_seconds, self._fail, TurnTooLong())
        try:
            async with self._lifecycle.room():
                self._settle(await self._answer())
        except ChatError as error:
            self._settle(self._failed(error))
        except Exception as error:
            self._settle(self._failed(failure(error)))
        except asyncio.CancelledError:
            pass  # Told as an event. A task keeps its frames with it: the turn would wait for the collector.
        finally:
            running_turns.discard(self, self._running_loop)
            self._stop_timers(turn_timer)
            self._settle(self._cancelled())
            self._tell_when_recorded()

    async def _answer(self) -> Finished:
        """Pass on what the provider says, until it has said everything."""
        clock = self._running_loop.time
        async with aclosing(await self._attempts.begin()) as answering:
            idle = IdleTimeout(self._running_loop, self.settings.silence_seconds, self.log, self._stop_idle)
            self._idle_timeout = idle
            for event in answering.first:
                await self.log.drained()
                self._pass_on(event)
            idle.heard_at = clock()
            async for event in answering.rest:
                if self.log.is_full:
                    await self.log.drained()
                self._pass_on(event)
                idle.heard_at = clock()
        self._writer.finish()
        return self._finished()

    def _pass_on(self, event: ProviderEvent) -> None:
        if self._terminal is not None:  # It was told to stop, and went on.
            assert self._stopping is not None
            self._stopping.cancel()  # See _stop(): not twice.
            raise asyncio.CancelledError
        self._writer.write(event)
        if isinstance(event, Stopped) and self._idle_timeout:
            self._idle_timeout.shorten(TRAILING_SECONDS)
        most = self._lifecycle.max_output_tokens
        if most is not None and self._counter.output_tokens >= most:
            self._stop(Finished(reason="length", usage=self._counter.total()))

    # How it ends.

    def _stop(self, terminal: Terminal) -> None:
        """Cancel the task, once: a second time would interrupt the provider while it closes its connection."""
        assert self._task is not None
        if self._terminal is None:
            self._settle(terminal)
            # Not before its first step: it would end without an event.
            self._stopping = self._running_loop.call_soon(self._task.cancel)

    def _stop_idle(self) -> None:
        """The provider says nothing. One that has said why it stopped has said everything."""
        self._stop(self._finished() if self._writer.stop_reason else self._failed(ProviderSilent()))

    def _fail(self, error: ChatError) -> None:
        if self._terminal is None:
            self._stop(self._failed(error))

    def _finished(self) -> Finished:
        return Finished(reason=self._writer.stop_reason or "stop", usage=self._counter.total(complete=True))

    def _cancelled(self) -> Cancelled:
        return Cancelled(usage=self._counter.total())

    def _failed(self, error: ChatError) -> Failed:
        """The end that an error means. It leaves behind how it came about: those frames hold keys and prompts."""
        error.__cause__ = error.__context__ = error.__traceback__ = None
        return Failed(error=error, usage=self._counter.total())

    def _settle(self, terminal: Terminal) -> None:
        """How the turn ends is known; what comes first counts. Its reader waits while all is closed, but not long."""
        if self._terminal is None:
            self._terminal = terminal
            self._closing_timer = self._running_loop.call_later(CLOSING_SECONDS, self._tell_when_recorded)
            if self._lifecycle.is_recorded:
                recording = self._record(terminal)
                self._recording = self._context.run(self._running_loop.create_task, recording)
                self._hold_if_left()

    async def _record(self, terminal: Terminal) -> None:
        """Record what the turn leaves behind, while its provider is being closed."""
        self._terminal = replace(terminal, stored=await self._lifecycle.finish(terminal))

    def _tell_when_recorded(self) -> None:
        assert self._closing_timer is not None
        self._closing_timer.cancel()
        if self._recording is None or self._recording.done():
            self._tell()
        else:
            self._recording.add_done_callback(lambda _: self._tell())

    def _tell(self) -> None:
        """Tell how the turn ended: its readers and the operators."""
        assert self._terminal is not None
        if self.log.terminal is None:
            self.log.end(self._terminal)
            self._lifecycle.report(self._terminal)

    def _stop_timers(self, turn_timer: asyncio.TimerHandle) -> None:
        for timer in (turn_timer, self._shutdown_timer, self._leaving_timer):
            if timer:
                timer.cancel()
        if self._idle_timeout:
            self._idle_timeout.stop()
            self._idle_timeout = None  # It points back: the turn would wait for the collector.
