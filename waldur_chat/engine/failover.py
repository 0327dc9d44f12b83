"""Retries and failover: finds a provider that starts to answer.

A provider is asked again if that can help, then the next one in the chain. This happens before the first event and
within its time limit; a failure after the first event is never retried. If other providers follow, each one gets an
equal share of the remaining time, so that a silent provider cannot use all of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.engine.provider_pool import PooledProvider, acquire
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import (
    ChatError,
    ChatNotConfigured,
    ProviderError,
    ProviderFailed,
    ProviderTooSlow,
    ProviderUnavailable,
)
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Usage
from waldur_chat.messages import Prompt
from waldur_chat.record import Attempt, TurnRecord

logger = logging.getLogger(__name__)

CLOSING_SECONDS = 0.3
"""How long a provider that missed its time limit may take to close; then it closes in the background."""

FIRST_PAUSE_SECONDS = 0.5
"""Upper bound of the random pause after the first failure; doubled after each further failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStream:
    """A provider that has started to answer: its first events, and the stream of the rest. It must be closed."""

    first: Sequence[ProviderEvent]
    rest: AsyncGenerator[ProviderEvent, None]
    pooled: PooledProvider

    async def aclose(self) -> None:
        """Close the stream and release the provider."""
        await _release(self.pooled, self.rest)


class Attempts:
    """The attempts of one turn, counted in its record and its usage counter."""

    def __init__(self, settings: Settings, prompt: Prompt, record: TurnRecord, counter: UsageCounter) -> None:
        self._settings = settings
        self._prompt = prompt
        self._record = record
        self._counter = counter

    async def begin(self) -> AnswerStream:
        """Try the providers in order until one answers. Raises the error of the last attempt."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.first_event_seconds
        last: ChatError = ChatNotConfigured("There is no default provider.")
        chain = self._settings.chain
        for index, spec in enumerate(chain):
            share = (end - clock()) / (len(chain) - index)
            try:
                return await self._try_provider(spec, clock() + share)
            except (ProviderError, ChatNotConfigured) as error:
                last = error
        raise last

    async def _try_provider(self, spec: ProviderSpec, end: float) -> AnswerStream:
        """Try one provider, repeatedly if that can help."""
        clock = asyncio.get_running_loop().time
        number = 1
        while True:
            try:
                return await self._attempt(spec, end - clock())
            except ProviderError as error:
                pause = _pause(error, number)
                if number >= self._settings.attempts or not _can_retry(error) or clock() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            number += 1

    async def _attempt(self, spec: ProviderSpec, seconds: float) -> AnswerStream:
        # Stays if the attempt is cancelled, and is then recorded below.
        code = "cancelled"
        try:
            answer = await self._open(spec, seconds)
            code = ""
            return answer
        except ChatError as error:
            code = error.code
            self._counter.discard_attempt()
            logger.info("Turn %s: %s failed: %s: %s", self._record.turn, spec.name, code, error)
            raise
        finally:
            self._record.attempts.append(Attempt(provider=spec.name, code=code))

    async def _open(self, spec: ProviderSpec, seconds: float) -> AnswerStream:
        pooled, stream = await acquire(spec), None
        try:
            self._record.provider, self._record.model = spec.name, pooled.provider.model
            with pooled.guarded(self._settings):
                self._counter.start_attempt()
                stream = pooled.provider.stream(self._prompt)
                first = await _first_events(stream, seconds, self._counter)
        # Also when cancelled: otherwise the connection to the provider would leak.
        except BaseException:
            await _release(pooled, stream)
            raise
        return AnswerStream(first=first, rest=stream, pooled=pooled)


def provider_failure(error: Exception) -> ProviderFailed:
    """Convert an unexpected exception of a provider to `ProviderFailed`.

    Only its class and its stack are logged: messages, also those of its causes, may contain secrets.
    """
    frames = traceback.extract_tb(error.__traceback__)
    logger.error("A provider raised %s at %s:%s", type(error).__name__, frames[-1].filename, frames[-1].lineno)
    logger.debug("Its stack:\n%s", "".join(frames.format()))
    return ProviderFailed(f"It raised {type(error).__name__}.")


async def _first_events(
    stream: AsyncGenerator[ProviderEvent, None], seconds: float, counter: UsageCounter
) -> list[ProviderEvent]:
    """Collect the events up to the first text, or to the end. Raises `ProviderTooSlow`.

    Reading has a task of its own, so that the time limit cannot be confused with a cancellation of the turn.
    """
    task = asyncio.create_task(_until_text(stream, counter))
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            raise ProviderTooSlow("It did not begin to answer in time.")
        return task.result()
    except ChatError:
        raise
    except Exception as error:
        raise provider_failure(error) from error
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSING_SECONDS)


async def _release(pooled: PooledProvider, stream: AsyncGenerator[ProviderEvent, None] | None) -> None:
    """Close the stream, unless it is already closing in the background; release the provider."""
    try:
        if stream is not None and not getattr(stream, "ag_running", False):
            await stream.aclose()
    finally:
        await pooled.release()


async def _until_text(stream: AsyncGenerator[ProviderEvent, None], counter: UsageCounter) -> list[ProviderEvent]:
    """Keep the last event of each type: until there is text, later ones replace earlier ones, however many arrive."""
    events: dict[type[ProviderEvent], ProviderEvent] = {}
    async for event in stream:
        events.pop(type(event), None)
        events[type(event)] = event
        if isinstance(event, Usage):
            counter.report(event)
        if isinstance(event, (Delta, Reasoning)) and event.text:
            break
    return list(events.values())


def _can_retry(error: ProviderError) -> bool:
    """Whether another attempt at the same provider may succeed soon."""
    return error.retryable and not isinstance(error, ProviderUnavailable)


def _pause(error: ProviderError, number: int) -> float:
    """Seconds before the next attempt: the provider's `retry_after` plus exponential backoff with full jitter."""
    jitter = random.uniform(0, FIRST_PAUSE_SECONDS * 2 ** (number - 1))  # noqa: S311  # Not used for security.
    return (error.retry_after or 0) + jitter
