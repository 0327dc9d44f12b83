"""Finds a provider that begins to answer: tries again where that can help, and asks the next in line where it cannot.

All of it happens before the first event, within its time limit; what comes after it is never tried again. A provider
with others behind it may use an equal share of the time that is left, so that a silent one cannot use up all.
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
"""How long a provider that did not begin in time may take to close; then it is left to itself."""

FIRST_PAUSE_SECONDS = 0.5
"""The longest pause after the first failure; it doubles with each, and a random part of it is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """A provider that has begun to answer: what it said first, and its stream of what follows. It must be closed."""

    first: Sequence[ProviderEvent]
    rest: AsyncGenerator[ProviderEvent, None]
    pooled: PooledProvider

    async def aclose(self) -> None:
        """Close the stream, and give back the provider."""
        await _give_back(self.pooled, self.rest)


class Attempts:
    """The attempts of one turn. They are counted in its record and its tally."""

    def __init__(self, settings: Settings, prompt: Prompt, record: TurnRecord, counter: UsageCounter) -> None:
        self._settings = settings
        self._prompt = prompt
        self._record = record
        self._counter = counter

    async def begin(self) -> Answering:
        """Ask until somebody answers. Raises the error of the last attempt."""
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.first_event_seconds
        last: ChatError = ChatNotConfigured("There is no default provider.")
        chain = self._settings.chain
        for place, spec in enumerate(chain):
            share = (end - clock()) / (len(chain) - place)
            try:
                return await self._ask(spec, clock() + share)
            except (ProviderError, ChatNotConfigured) as error:
                last = error
        raise last

    async def _ask(self, spec: ProviderSpec, end: float) -> Answering:
        """Ask one provider, several times where that can help."""
        clock = asyncio.get_running_loop().time
        number = 1
        while True:
            try:
                return await self._attempt(spec, end - clock())
            except ProviderError as error:
                pause = _pause(error, number)
                if number >= self._settings.attempts or not _can_mend(error) or clock() + pause >= end:
                    raise
            await asyncio.sleep(pause)
            number += 1

    async def _attempt(self, spec: ProviderSpec, seconds: float) -> Answering:
        code = "cancelled"
        try:
            answering = await self._open(spec, seconds)
            code = ""
            return answering
        except ChatError as error:
            code = error.code
            self._counter.discard_attempt()
            logger.info("Turn %s: %s failed: %s: %s", self._record.turn, spec.name, code, error)
            raise
        finally:
            self._record.attempts.append(Attempt(provider=spec.name, code=code))

    async def _open(self, spec: ProviderSpec, seconds: float) -> Answering:
        pooled, stream = await acquire(spec), None
        try:
            self._record.provider, self._record.model = spec.name, pooled.provider.model
            with pooled.guarded(self._settings):
                self._counter.start_attempt()
                stream = pooled.provider.stream(self._prompt)
                first = await _first(stream, seconds, self._counter)
        except BaseException:
            await _give_back(pooled, stream)
            raise
        return Answering(first=first, rest=stream, pooled=pooled)


def failure(error: Exception) -> ProviderFailed:
    """What a provider raised that is none of our errors.

    Its name and its places are logged, not its words nor those of its causes: they may be secret.
    """
    places = traceback.extract_tb(error.__traceback__)
    logger.error("A provider raised %s at %s:%s", type(error).__name__, places[-1].filename, places[-1].lineno)
    logger.debug("The places it came by:\n%s", "".join(places.format()))
    return ProviderFailed(f"It raised {type(error).__name__}.")


async def _first(
    stream: AsyncGenerator[ProviderEvent, None], seconds: float, counter: UsageCounter
) -> list[ProviderEvent]:
    """Everything up to the first event with text, or to the end. Raises `ProviderTooSlow`.

    It runs in a task of its own, so that the time limit cannot be taken for a cancellation of the turn.
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
        raise failure(error) from error
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=CLOSING_SECONDS)


async def _give_back(pooled: PooledProvider, stream: AsyncGenerator[ProviderEvent, None] | None) -> None:
    """Close the stream, unless it was left to itself while it closes; then its provider may be closed, too."""
    try:
        if stream is not None and not getattr(stream, "ag_running", False):
            await stream.aclose()
    finally:
        await pooled.release()


async def _until_text(stream: AsyncGenerator[ProviderEvent, None], counter: UsageCounter) -> list[ProviderEvent]:
    """Of each sort of event the last: before there is text, a later one replaces an earlier, however many come."""
    events: dict[type[ProviderEvent], ProviderEvent] = {}
    async for event in stream:
        events.pop(type(event), None)
        events[type(event)] = event
        if isinstance(event, Usage):
            counter.report(event)
        if isinstance(event, (Delta, Reasoning)) and event.text:
            break
    return list(events.values())


def _can_mend(error: ProviderError) -> bool:
    """Whether the same provider may do better next time, and soon."""
    return error.retryable and not isinstance(error, ProviderUnavailable)


def _pause(error: ProviderError, number: int) -> float:
    """Seconds to wait after this many failures: what the provider asks for, and a random part of a growing time."""
    jitter = random.uniform(0, FIRST_PAUSE_SECONDS * 2 ** (number - 1))  # noqa: S311  # No secret.
    return (error.retry_after or 0) + jitter
