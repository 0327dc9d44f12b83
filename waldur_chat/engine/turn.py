"""A turn: one prompt put to a provider, told as events.

The turn is a task on an event loop. Its status is known with its first event, and it ends with exactly one terminal
event whatever happens: the provider finishes or fails, a limit is reached, somebody cancels it, the server stops, the
loop ends and cancels its tasks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext, suppress
from dataclasses import replace
from uuid import uuid4

from waldur_chat.conf import Settings
from waldur_chat.engine import reporting, running_turns
from waldur_chat.engine.channel import Channel
from waldur_chat.engine.event_log import Log, LogReader
from waldur_chat.engine.failover import Attempts, failure
from waldur_chat.engine.idle_timeout import IdleTimeout
from waldur_chat.engine.keeping import Recorder
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.engine.utf16 import SurrogateJoiner
from waldur_chat.errors import AnswerTooLong, ChatError, ProviderSilent, ServerStopping, TurnCancelled, TurnTooLong
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    ProviderEvent,
    Reasoning,
    Started,
    Stopped,
    Terminal,
    Usage,
)
from waldur_chat.messages import Prompt
from waldur_chat.record import Caller, TurnRecord
from waldur_chat.runtime import loop as background_loop

TRAILING_SECONDS = 5.0
"""How long a provider that has said why it stopped may take to say the rest: usage, and that nothing follows."""

CLOSING_SECONDS = 1.0
"""How long the reader of a turn that is stopped waits until what it held is closed; then it is told all the same."""

Slots = Callable[["Turn"], AbstractAsyncContextManager[None]]


class Turn:
    """One prompt, one answer, one reader.

    `seats` gives a context in which the turn runs: what limits turns beyond this process. `keeper` keeps what the turn
    leaves behind. `start()`, `cancel()` and `take_blocking()` are for any thread; everything else belongs to the turn's
    event loop.
    """

    __slots__ = (  # There are thousands at once: without them each has a dict of 1.5 kB.
        "_attempts",
        "_began_at",
        "_channel",
        "_closing_timer",
        "_counter",
        "_idle_timeout",
        "_joiner",
        "_leaving_timer",
        "_length",
        "_loop",
        "_reason",
        "_recorder",
        "_recording",
        "_shutdown_timer",
        "_sink",
        "_slots",
        "_source",
        "_stopping",
        "_task",
        "_terminal",
        "id",
        "log",
        "position",
        "record",
        "settings",
    )

    def __init__(
        self,
        settings: Settings,
        prompt: Prompt,
        caller: Caller | None = None,
        slots: Slots | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        caller = caller or Caller()
        self.id = recorder.turn if recorder else uuid4().hex
        self.position = 0
        self.settings = settings
        self.record = TurnRecord(
            turn=self.id,
            user_id=caller.user_id,
            thread=recorder.thread if recorder else "",
            request_id=caller.request_id,
        )
        self._slots = slots
        self._recorder = recorder
        self._recording: asyncio.Task[None] | None = None
        self._counter = UsageCounter(prompt)
        self._attempts = Attempts(settings, prompt, self.record, self._counter)
        self.log = Log() if recorder else None
        self._channel = Channel()  # A log takes everything, and this is never full then.
        self._sink: Log | Channel = self.log or self._channel
        self._source: LogReader | Channel = LogReader(self.log) if self.log else self._channel
        self._leaving_timer: asyncio.TimerHandle | None = None
        self._joiner = SurrogateJoiner()
        self._length = 0
        self._reason = ""
        self._terminal: Terminal | None = None
        self._closing_timer: asyncio.TimerHandle | None = None
        self._shutdown_timer: asyncio.TimerHandle | None = None
        self._idle_timeout: IdleTimeout | None = None
        self._stopping: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to run on the loop."""
        self._loop = loop
        loop.call_soon_threadsafe(self._begin)

    def cancel(self) -> None:
        """Stop: close the provider's connection and end with `Cancelled`. Does nothing to a turn that has ended."""
        if self._loop is not None and not (self._task and self._task.done()):
            with suppress(RuntimeError):  # The loop is closed, and with it every task has ended.
                self._loop.call_soon_threadsafe(lambda: self._stop(self._cancelled()))

    @property
    def thread(self) -> str:
        """See Source.thread."""
        return self.record.thread

    @property
    def ends_with_reader(self) -> bool:
        """See Source.ends_with_reader. Nobody can come back to a turn that has no conversation."""
        return not self.thread

    def text_before_position(self) -> str:
        """See Source.had(). The first reader has nothing."""
        return ""

    def close(self) -> None:
        """See Source.close()."""
        if self.ends_with_reader:
            self.cancel()
        elif self._loop is not None:
            with suppress(RuntimeError):  # See cancel().
                self._loop.call_soon_threadsafe(self._leave)

    def drop(self) -> None:
        """See Source.drop(). What was written of it must have its end, like that of a turn whose reader leaves."""
        if self._recorder:
            self.start(background_loop.loop())
            self.close()

    async def first(self) -> Event:
        """Wait for the first event and leave it there. Raises the turn's error where it ended before it began."""
        await self._source.wait()
        match event := self._source.peek():
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
            case _:
                return event

    def want_whole(self) -> None:
        """See Source.want_whole()."""
        self._source.want_whole()

    async def take(self, timeout: float | None = None) -> list[Event]:
        """Wait, at most `timeout` seconds, for the next events; empty when none came. A terminal event is the last."""
        await self._source.wait(timeout)
        if self._channel.is_full and self._idle_timeout:  # The provider could say nothing until now.
            self._idle_timeout.heard_at = self._running_loop.time()
        return self._source.take()

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """See take(); for threads other than that of the turn's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.take(timeout), self._loop).result()

    def wind_down(self, stopping_for: float) -> None:
        """The server has been stopping for so many seconds: end when the time of grace is over."""
        if self._shutdown_timer is None:
            left = max(0.0, self.settings.shutdown_seconds - stopping_for)
            self._shutdown_timer = self._running_loop.call_later(left, self._fail, ServerStopping(retry_after=1))

    def _leave(self) -> None:
        """The first reader has gone."""
        assert isinstance(self._source, LogReader)  # See ends_with_reader.
        self._source.close()
        self.reader_left()

    def reader_left(self) -> None:
        """A reader has gone: when no other is there, the turn goes on for as long as the settings have it."""
        seconds = self.settings.finish_seconds
        self._hold_if_left()
        if seconds is not None and self._terminal is None and not self._is_read() and self._leaving_timer is None:
            self._leaving_timer = self._running_loop.call_later(seconds, self._stop_if_left)

    def _hold_if_left(self) -> None:
        """Let the server wait, as it would for a reader: nobody else keeps it until the turn has ended and is kept."""
        for task in (self._task, self._recording):
            if task and not task.done() and not self._is_read():
                running_turns.hold(task)

    def _stop_if_left(self) -> None:
        self._leaving_timer = None
        if not self._is_read() and self._terminal is None:
            self._stop(self._cancelled())

    def _is_read(self) -> bool:
        return self.log is None or self.log.readers > 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that it runs on; None before it was started."""
        return self._loop

    @property
    def text(self) -> str:
        """What was answered so far; nothing where nobody keeps it."""
        return self.log.text.since(0) if self.log else ""

    def used(self) -> Usage | None:
        """The tokens used so far, guessed where the provider has not told yet."""
        return self._counter.total()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return self._running_loop.time() - self._began_at

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        assert self._loop is not None
        return self._loop

    def _begin(self) -> None:
        self._began_at = self._running_loop.time()
        self._task = self._running_loop.create_task(self._run())

    def _stop(self, terminal: Terminal) -> None:
        """Cancel the task, once: a second time would interrupt the provider while it closes its connection."""
        assert self._task is not None
        if self._terminal is None:
            self._settle(terminal)
            # Not before its first step: it would end without an event.
            self._stopping = self._running_loop.call_soon(self._task.cancel)

    async def _run(self) -> None:
        running_turns.add(self, self._running_loop)
        reporting.begin(self.record)
        if self._recorder:
            self._recorder.start(self)
        turn_timer = self._running_loop.call_later(self.settings.turn_seconds, self._fail, TurnTooLong())
        try:
            async with limiter_of_process().enter(self.record.user_id, self.settings), self._held_slots():
                self._settle(await self._answer())
        except ChatError as error:
            self._settle(self._failed(error))
        except Exception as error:
            self._settle(self._failed(failure(error)))
        except asyncio.CancelledError:
            pass  # Told as an event. A task keeps its frames with it: the turn would wait for the collector.
        finally:
            running_turns.discard(self, self._running_loop)
            for timer in (turn_timer, self._shutdown_timer, self._leaving_timer):
                if timer:
                    timer.cancel()
            if self._idle_timeout:
                self._idle_timeout.stop()
                self._idle_timeout = None  # It points back: the turn would wait for the collector.
            self._settle(self._cancelled())
            self._tell_when_recorded()

    def _held_slots(self) -> AbstractAsyncContextManager[None]:
        return self._slots(self) if self._slots else nullcontext()

    async def _answer(self) -> Finished:
        """Pass on what the provider says, until it has said everything."""
        clock = self._running_loop.time
        async with aclosing(await self._attempts.begin()) as answering:
            idle_timeout = IdleTimeout(
                self._running_loop, self.settings.silence_seconds, self._channel, self._stop_idle
            )
            self._idle_timeout = idle_timeout
            for event in answering.first:
                await self._channel.drained()
                self._pass_on(event)
            idle_timeout.heard_at = clock()
            async for event in answering.rest:
                if self._channel.is_full:
                    await self._channel.drained()
                self._pass_on(event)
                idle_timeout.heard_at = clock()
        self._put(Delta(text=self._joiner.flush()))
        if self.record.first_event_seconds is None:
            self._begin_answer()
        return self._finished()

    def _finished(self) -> Finished:
        return Finished(reason=self._reason or "stop", usage=self._counter.total(complete=True))

    def _pass_on(self, event: ProviderEvent) -> None:
        match event:
            case Delta(text=text):
                joined = self._joiner.feed(text)
                self._put(event if joined is text else Delta(text=joined))
            case Reasoning():
                self._put(event)
            case Usage():
                self._counter.report(event)
            case Stopped(reason=reason):
                assert self._idle_timeout is not None  # Who speaks is listened to.
                self._reason = reason
                self._idle_timeout.shorten(TRAILING_SECONDS)

    def _put(self, event: Delta | Reasoning) -> None:
        if self._terminal is not None:  # It was told to stop, and went on.
            assert self._stopping is not None
            self._stopping.cancel()  # See _stop(): not twice.
            raise asyncio.CancelledError
        if event.text:
            self._length += len(event.text)
            if self._length > self.settings.answer_max_length:
                raise AnswerTooLong
            self._counter.add_output(event.text)
            if self.record.first_event_seconds is None:
                self._begin_answer()
            self._sink.add(event)
            if self._recorder and self._recorder.max_output_tokens is not None:
                self._keep_within_promise(self._recorder.max_output_tokens)

    def _begin_answer(self) -> None:
        self.record.first_event_seconds = self.age
        if self._recorder:
            self._recorder.answer(self)
        self._sink.add(Started(turn=self.id, thread=self.record.thread))

    def _keep_within_promise(self, promised: int) -> None:
        """End an answer that uses more than was reserved for it, where its provider has no limit of its own."""
        if self._counter.output_tokens >= promised:
            self._stop(Finished(reason="length", usage=self._counter.total()))

    def _stop_idle(self) -> None:
        """The provider says nothing. One that has said why it stopped has said everything."""
        self._stop(self._finished() if self._reason else self._failed(ProviderSilent()))

    def _fail(self, error: ChatError) -> None:
        if self._terminal is None:
            self._stop(self._failed(error))

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
            if self._recorder:
                self._recording = self._running_loop.create_task(self._record_end(self._recorder, terminal))
                self._hold_if_left()

    async def _record_end(self, recorder: Recorder, terminal: Terminal) -> None:
        """Keep what the turn leaves behind, while its provider is being closed."""
        self._terminal = replace(terminal, stored=await recorder.end(self, terminal))

    def _tell_when_recorded(self) -> None:
        assert self._closing_timer is not None
        self._closing_timer.cancel()
        if self._recording is None or self._recording.done():
            self._tell()
        else:
            self._recording.add_done_callback(lambda _: self._tell())

    def _tell(self) -> None:
        """Tell how the turn ended: its reader and the log."""
        assert self._terminal is not None
        if self.record.status == "running":
            self._sink.end(self._terminal)
            reporting.end(self.record, self._terminal, self.age)
