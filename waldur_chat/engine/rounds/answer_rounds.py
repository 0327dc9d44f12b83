"""The rounds of one turn: each asks a provider, and writes what it answers to the event log."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from waldur_chat.conf import Settings
from waldur_chat.engine.answer_writer import AnswerWriter
from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.failover import AnswerStream, Attempts
from waldur_chat.engine.lifecycle import GRANT_SECONDS, Allowance, Lifecycle
from waldur_chat.engine.rounds.idle_timeout import IdleTimeout
from waldur_chat.engine.rounds.runner import ContextSource
from waldur_chat.engine.rounds.tool_rounds import ToolRounds
from waldur_chat.events import (
    CONTEXT_MISSING,
    Delta,
    ProviderEvent,
    Reasoning,
    Terminal,
    begins_answer,
    warned_of,
)
from waldur_chat.messages import Prompt
from waldur_chat.record import reading, waiting
from waldur_chat.text_size import size_of

TRAILING_SECONDS = 5.0
"""How long a provider that has reported its stop reason may take for the rest: usage, and the end of the stream."""


LAST_ROUND_TOKENS = 512
"""Where fewer tokens are left for a round, the model has to answer with them, and cannot call tools."""


class AnsweredTurn(Protocol):
    """What the rounds need of their turn."""

    log: EventLog
    settings: Settings

    terminal: Terminal | None

    def stay_stopped(self) -> None:
        """Raise `CancelledError`: the turn has ended, but its provider did not let itself be cancelled."""

    def stop_idle(self) -> None:
        """End the turn, whose provider is silent."""

    def stop_at_length(self) -> None:
        """End the turn, for which no tokens are left."""


class AnswerRounds:
    """Forwards the events of providers to the log of a turn, until the answer is complete."""

    __slots__ = ("_attempts", "_idle_timeout", "_lifecycle", "_log", "_loop", "_tools", "_turn", "_writer")

    def __init__(
        self,
        turn: AnsweredTurn,
        attempts: Attempts,
        writer: AnswerWriter,
        lifecycle: Lifecycle,
        tools: ToolRounds | None,
    ) -> None:
        self._turn = turn
        self._log = turn.log
        self._attempts = attempts
        self._writer = writer
        self._lifecycle = lifecycle
        self._tools = tools
        self._loop = asyncio.get_running_loop()
        self._idle_timeout: IdleTimeout | None = None

    async def add_context(self, source: ContextSource) -> None:
        """Let the model be asked with the site's context."""
        with waiting(self._lifecycle.record.times):
            prompt = await _with_context(source, self._attempts.prompt, self._lifecycle.allowance)
        if prompt.lacks_context:
            self._writer.warning = warned_of(CONTEXT_MISSING)
        if self._tools:
            self._tools.prompt = prompt
        self._attempts.go_on(prompt)

    async def run(self) -> str:
        """Ask, and again with the results of the tools that were called. Returns the reason for the end, if any."""
        clock, lifecycle, times = self._loop.time, self._lifecycle, self._lifecycle.record.times
        try:
            if (reason := await self._run_decided()) is not None:
                return reason
            while True:
                async with aclosing(await self._attempts.begin()) as answer:
                    idle = await self._forward_first(answer)
                    with reading(times):
                        # Not in a coroutine of its own, which would be resumed for each token.
                        async for event in answer.rest:
                            if times is not None:
                                times.arrived(event)
                            if self._log.is_full:
                                with waiting(times):
                                    await self._log.drained()
                            if lifecycle.allowance is None:
                                self._forward(event)
                            else:
                                await self._forward_reserved(event, lifecycle.allowance)
                            if self._writer.has_written_share:
                                await idle.pause(self._writer.give_way())
                            idle.last_event_at = clock()
                            if times is not None:
                                times.ready_at = time.monotonic()
                self._writer.finish()
                if (reason := await self._prepare_round()) is not None:
                    return reason
        finally:
            self._stop_idle_timeout()

    async def _forward_first(self, answer: AnswerStream) -> IdleTimeout:
        """Forward the first events of an answer, and start its time limit for silence."""
        idle = IdleTimeout(self._loop, self._turn.settings.silence_seconds, self._log, self._turn.stop_idle)
        self._idle_timeout = idle
        self._writer.warning = answer.warning
        for event in answer.first:
            with waiting(self._lifecycle.record.times):
                await self._log.drained()
            if self._lifecycle.allowance is None:
                self._forward(event)
            else:
                await self._forward_reserved(event, self._lifecycle.allowance)
        idle.last_event_at = self._loop.time()
        return idle

    async def _run_decided(self) -> str | None:
        """Run the calls on which the user has decided, if any; the reason for the end if no model is asked then."""
        tools = self._tools
        with waiting(self._lifecycle.record.times):
            if tools is None or not await tools.begin():
                return None
        return await self._begin_round(tools)

    async def _prepare_round(self) -> str | None:
        """Run the tools that were called, for the next round; the reason for the end if there is none."""
        tools = self._tools
        if tools is None:
            return self._writer.stop_reason
        self._stop_idle_timeout()
        with waiting(self._lifecycle.record.times):
            has_answers = await tools.run()
        return await self._begin_round(tools) if has_answers else self._writer.stop_reason

    async def _begin_round(self, tools: ToolRounds) -> str | None:
        """Let the model be asked again; the reason for the end if it must not."""
        if self._writer.is_left_to_user:
            return self._writer.stop_reason
        if not await self._reserve(tools):
            return self._writer.end_of_tokens()
        self._attempts.go_on(tools.prompt)
        return None

    def _forward(self, event: ProviderEvent) -> None:
        if self._turn.terminal is not None:
            self._turn.stay_stopped()
        if self._tools is not None:
            self._tools.take(event)
        self._writer.write(event)
        if (idle := self._idle_timeout) and idle.is_short != bool(self._writer.stop_reason):
            idle.restore() if idle.is_short else idle.shorten(TRAILING_SECONDS)

    async def _forward_reserved(self, event: ProviderEvent, allowance: Allowance) -> None:
        """Forward an event, and wait wherever the answer has used the tokens that are reserved for it."""
        for part in _parts(event, allowance):
            self._forward(part)
            if not self._writer.stop_reason and begins_answer(part) and allowance.is_used_up():
                await self._wait_for_tokens(allowance)

    async def _wait_for_tokens(self, allowance: Allowance) -> None:
        """Wait until the reservation has grown; end the answer if nothing is left."""
        assert self._idle_timeout
        self._idle_timeout.last_event_at = self._loop.time() + GRANT_SECONDS
        if not await allowance.grown():
            self._turn.stop_at_length()

    async def _reserve(self, tools: ToolRounds) -> bool:
        """Reserve what the next round needs, before it is asked for. False if nothing is left."""
        allowance = self._lifecycle.allowance
        if allowance is None:
            return True
        limit = allowance.begin_round(tools.prompt)
        tools.limit_answer(limit, is_last=limit < LAST_ROUND_TOKENS)
        return limit > 0 and (not allowance.is_used_up() or await allowance.grown())

    def _stop_idle_timeout(self) -> None:
        if self._idle_timeout:
            self._idle_timeout.stop()
            self._idle_timeout = None


async def _with_context(source: ContextSource, prompt: Prompt, allowance: Allowance | None) -> Prompt:
    """The prompt with context, and with what its answer may have. Context for which no tokens are left is left out."""
    added = await source.added_to(prompt)
    if allowance is None or added.messages == prompt.messages:
        return added
    limit = allowance.begin_round(prompt)
    limit_with_context = allowance.begin_round(added)
    has_room = limit_with_context >= min(LAST_ROUND_TOKENS, limit // 2)
    if has_room and (not allowance.is_used_up() or await allowance.grown()):
        return replace(added, max_output_tokens=limit_with_context)
    allowance.begin_round(prompt)
    return replace(prompt, lacks_context=True)


def _parts(event: ProviderEvent, allowance: Allowance) -> Iterator[ProviderEvent]:
    """The event, cut where the reservation ends: while a turn waits for tokens, its model writes on."""
    while isinstance(event, (Delta, Reasoning)):
        size, left = size_of(event.text), allowance.left_bytes()
        length = max(1, int(len(event.text) * left / size)) if left < size else len(event.text)
        if length >= len(event.text):
            break
        yield replace(event, text=event.text[:length])
        event = replace(event, text=event.text[length:])
    yield event
