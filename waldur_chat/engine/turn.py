"""A turn: one prompt put to one provider, told as events.

The turn is a task on an event loop. Its status is known with its first event, and it ends with exactly one terminal
event whatever happens: the provider finishes or fails, a time limit passes, somebody cancels it, the loop is closed.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import uuid4

from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.channel import Channel
from waldur_chat.engine.pool import lease
from waldur_chat.engine.surrogates import SurrogateJoiner
from waldur_chat.errors import ChatError, ProviderFailed, ProviderTooSlow, TurnCancelled, TurnTooLong
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    Reasoning,
    Started,
    Stopped,
    Terminal,
    Usage,
)
from waldur_chat.messages import Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a turn may take, in seconds."""

    first_event: float
    turn: float


class Turn:
    """One prompt, one provider, one reader.

    `start()`, `cancel()` and `take_blocking()` are for any thread; everything else belongs to the turn's event loop.
    """

    def __init__(self, provider: ProviderSpec, prompt: Prompt, limits: Limits) -> None:
        self.id = uuid4().hex
        self._provider = provider
        self._prompt = prompt
        self._limits = limits
        self._channel = Channel()
        self._usage: Usage | None = None
        self._started = False
        self._stopping = False
        self._late: ChatError | None = None
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
                self._loop.call_soon_threadsafe(self._cancel)

    async def first(self) -> Event:
        """Wait for the first event and leave it there. Raises the turn's error where it ended before it began."""
        await self._channel.wait()
        match event := self._channel.peek():
            case Failed(error=error):
                raise error
            case Cancelled():
                raise TurnCancelled
            case _:
                return event

    async def take(self, timeout: float | None = None) -> list[Event]:
        """Wait, at most `timeout` seconds, for the next events; empty when none came. A terminal event is the last."""
        await self._channel.wait(timeout)
        return self._channel.take()

    def take_blocking(self, timeout: float | None = None) -> list[Event]:
        """See take(); for threads other than that of the turn's event loop."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.take(timeout), self._loop).result()

    def _begin(self) -> None:
        assert self._loop is not None
        self._task = self._loop.create_task(self._run())

    def _cancel(self) -> None:
        """Cancel the task once: a second time would interrupt the provider while it closes its connection."""
        assert self._loop is not None
        assert self._task is not None
        if not self._stopping:
            self._stopping = True
            self._loop.call_soon(self._task.cancel)  # Not before its first step: it would end without an event.

    async def _run(self) -> None:
        assert self._loop is not None
        terminal: Terminal | None = None
        self._first_event_timer = self._loop.call_later(self._limits.first_event, self._be_late, ProviderTooSlow())
        turn_timer = self._loop.call_later(self._limits.turn, self._be_late, TurnTooLong())
        try:
            terminal = await self._relay()
        except ChatError as error:
            terminal = self._fail(self._late or error)
        except Exception as error:
            self._report(error)
            terminal = self._fail(self._late or ProviderFailed())
        finally:
            self._first_event_timer.cancel()
            turn_timer.cancel()
            self._channel.end(terminal or self._interrupted())

    async def _relay(self) -> Finished:
        """Pass on what the provider says, until it has said everything."""
        reason, joiner = "stop", SurrogateJoiner()
        async with lease(self._provider) as provider, aclosing(provider.stream(self._prompt)) as events:
            async for event in events:
                match event:
                    case Delta(text=text):
                        await self._put(Delta(text=joiner.feed(text)))
                    case Reasoning():
                        await self._put(event)
                    case Usage():
                        self._usage = event
                    case Stopped(reason=reason):
                        pass
        await self._put(Delta(text=joiner.flush()))
        await self._be_started()
        return Finished(reason=reason, usage=self._usage)

    async def _put(self, event: Delta | Reasoning) -> None:
        if event.text:
            await self._be_started()
            await self._channel.put(event)

    async def _be_started(self) -> None:
        if not self._started:
            self._started = True
            self._first_event_timer.cancel()
            await self._channel.put(Started(turn=self.id))

    def _be_late(self, error: ChatError) -> None:
        if not self._stopping:
            self._late = error
            self._cancel()

    def _interrupted(self) -> Terminal:
        return self._fail(self._late) if self._late else Cancelled(usage=self._usage)

    def _report(self, error: Exception) -> None:
        """Log what somebody else's provider raised and where; its words and its variables may be secret."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        name = type(error).__name__
        logger.error("Turn %s: the provider raised %s at %s:%s", self.id, name, place.filename, place.lineno)
        logger.debug("Turn %s: the traceback", self.id, exc_info=error)

    def _fail(self, error: ChatError) -> Failed:
        logger.warning("Turn %s failed: %s: %s", self.id, error.code, error)
        return Failed(error=error, usage=self._usage)
