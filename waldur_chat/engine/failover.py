"""Retries and failover: finds a provider that starts to answer.

A provider is asked again if that can help, then the next one in the chain. This happens before the first event and
within its time limit; a failure after the first event is never retried. If other providers follow, each one gets an
equal share of the remaining time, so that a silent provider cannot use all of it. One that finds the conversation too
long for its model is asked once more with less of it.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.engine.answer_writer import empty_answer
from waldur_chat.engine.provider_pool import PooledProvider, acquire
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import (
    ChatError,
    ChatNotConfigured,
    ContextExceeded,
    ProviderError,
    ProviderFailed,
    ProviderRefusedQuestion,
    ProviderTooSlow,
    ProviderUnavailable,
)
from waldur_chat.events import (
    CONTEXT_MISSING,
    HISTORY_OVER_BUDGET,
    HISTORY_SHORTENED,
    ProviderEvent,
    Stopped,
    Usage,
    Warned,
    begins_answer,
    warned_of,
)
from waldur_chat.messages import Prompt
from waldur_chat.record import Attempt, TurnRecord, waiting
from waldur_chat.schemas.answers import without_schema
from waldur_chat.wire.framing import harmless_prompt

logger = logging.getLogger(__name__)

CLOSING_SECONDS = 0.3
"""How long a provider that missed its time limit may take to close; then it closes in the background."""

FIRST_PAUSE_SECONDS = 0.5
"""Upper bound of the random pause after the first failure; doubled after each further failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStream:
    """A provider that has started to answer: its first events, and the stream of the rest. It must be closed.

    `warning` is for the reader, if the provider was not told all of the history.
    """

    first: Sequence[ProviderEvent]
    rest: AsyncGenerator[ProviderEvent, None]
    pooled: PooledProvider
    warning: Warned | None = None

    async def aclose(self) -> None:
        """Close the stream and release the provider."""
        await _release(self.pooled, self.rest)


class Attempts:
    """The attempts of one turn, counted in its record and its usage counter."""

    def __init__(self, settings: Settings, prompt: Prompt, record: TurnRecord, counter: UsageCounter) -> None:
        self._settings = settings
        self.prompt = prompt
        self._record = record
        self._counter = counter
        self._shorter: Prompt | None = None
        """What may be sent in place of the prompt that was refused last; None if nothing."""
        self._first = ""
        """The name of the provider that is asked first; empty for the default."""

    def go_on(self, prompt: Prompt) -> None:
        """Ask with this prompt in the next round, first the provider that has answered in the last one."""
        self.prompt, self._shorter, self._first = prompt, None, self._record.provider

    async def begin(self) -> AnswerStream:
        """Try the providers in order until one answers.

        Raises the error of the last attempt, but a refusal of the question rather than one that says less to its user.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + self._settings.first_event_seconds
        last: ChatError = ChatNotConfigured("There is no default provider.")
        chain = self._chain()
        for index, spec in enumerate(chain):
            share = (end - clock()) / (len(chain) - index)
            try:
                return await self._try_provider(spec, clock() + share)
            except (ProviderError, ChatNotConfigured) as error:
                last = last if _says_more(last, error) else error
        raise last

    def _chain(self) -> tuple[ProviderSpec, ...]:
        chain = self._settings.chain
        at = next((index for index, spec in enumerate(chain) if spec.name == self._first), 0)
        return chain[at:] + chain[:at]

    async def _try_provider(self, spec: ProviderSpec, end: float) -> AnswerStream:
        """Try one provider, repeatedly if that can help; once more if it needs a shorter prompt."""
        clock = asyncio.get_running_loop().time
        prompt: Prompt | None = None  # Else what fits into the provider's context, as far as that is known.
        number = 1
        while True:
            try:
                return await self._attempt(spec, prompt, end - clock())
            except ContextExceeded:
                if prompt is not None or self._shorter is None:
                    raise
                prompt = self._shorter
                continue
            except ProviderError as error:
                pause = _pause(error, number)
                if number >= self._settings.attempts or not _can_retry(error) or clock() + pause >= end:
                    raise
            with waiting(self._record.times):
                await asyncio.sleep(pause)
            number += 1

    async def _attempt(self, spec: ProviderSpec, prompt: Prompt | None, seconds: float) -> AnswerStream:
        # Stays if the attempt is cancelled, and is then recorded below.
        code = "cancelled"
        try:
            answer = await self._open(spec, prompt, seconds)
            code = ""
            return answer
        except ChatError as error:
            code = error.code
            self._counter.discard_attempt()
            logger.info("Turn %s: %s failed: %s: %s", self._record.turn, spec.name, code, error)
            raise
        finally:
            self._record.attempts.append(Attempt(provider=spec.name, code=code))

    async def _open(self, spec: ProviderSpec, prompt: Prompt | None, seconds: float) -> AnswerStream:
        pooled, stream = await acquire(spec), None
        sent = whole = harmless_prompt(self.prompt)
        try:
            if not pooled.provider.supports_tools:
                whole, prompt = whole.without_calls(), prompt and prompt.without_calls()
            if not pooled.provider.supports_json_schema:
                whole, prompt = without_schema(whole), prompt and without_schema(prompt)
            sent = prompt or pooled.context.fit(whole)
            self._record.provider, self._record.model = spec.name, pooled.provider.model
            with pooled.guarded(self._settings):
                self._counter.start_attempt(sent)
                stream = pooled.provider.stream(sent)
                with waiting(self._record.times):
                    first = await _first_events(stream, seconds, self._counter)
        # Also when cancelled: otherwise the connection to the provider would leak.
        except BaseException as error:
            if isinstance(error, ContextExceeded):
                self._shorter = pooled.context.fit_after(sent, error)
            await _release(pooled, stream)
            raise
        return AnswerStream(first=first, rest=stream, pooled=pooled, warning=_warning(whole, sent))


def _warning(whole: Prompt, sent: Prompt) -> Warned | None:
    """What the reader should know if the prompt that was sent has not all of the history, or not the context."""
    if whole.lacks_context:
        return warned_of(CONTEXT_MISSING)
    if sent.history != whole.history:
        return Warned(text=HISTORY_SHORTENED)
    return Warned(text=HISTORY_OVER_BUDGET) if sent.is_shortened else None


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
    """Collect the events up to the first text or thought.

    Raises `ProviderTooSlow`, and the error for an empty answer if the stream ends before that.

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
        if begins_answer(event):
            return list(events.values())
    stopped = events.get(Stopped)
    raise empty_answer(stopped.reason if isinstance(stopped, Stopped) else "")


def _says_more(earlier: ChatError, later: ChatError) -> bool:
    """Whether the user learns more from the earlier error: that their question is refused, and why."""
    return isinstance(earlier, ProviderRefusedQuestion) and not isinstance(later, ProviderRefusedQuestion)


def _can_retry(error: ProviderError) -> bool:
    """Whether another attempt at the same provider may succeed soon."""
    return error.retryable and not isinstance(error, ProviderUnavailable)


def _pause(error: ProviderError, number: int) -> float:
    """Seconds before the next attempt: the provider's `retry_after` plus exponential backoff with full jitter."""
    jitter = random.uniform(0, FIRST_PAUSE_SECONDS * 2 ** (number - 1))  # noqa: S311  # Not used for security.
    return (error.retry_after or 0) + jitter
