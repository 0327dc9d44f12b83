"""The Python API: ask the site's model from a view, a task or a command.

    from waldur_chat import chat

    answer = chat.invoke("What is a VPC?")          # an Answer; await chat.ainvoke(...) in asynchronous code
    for event in chat.stream("What is a VPC?"):     # events; async for ... in chat.astream(...)
        ...

It applies the site's settings, but none of its switches: whether somebody may chat is the caller's decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, closing
from dataclasses import dataclass
from io import StringIO
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.utils.asyncio import async_unsafe

from waldur_chat import conf, users
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ChatNotConfigured, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Usage
from waldur_chat.messages import Question
from waldur_chat.record import Caller
from waldur_chat.runtime.connections import give_back_connections
from waldur_chat.runtime.loop import background_loop, check_threads
from waldur_chat.turns.cancel import cancel_thread
from waldur_chat.turns.cancel import cancel_turn as cancel
from waldur_chat.turns.resume import TurnSubscription
from waldur_chat.turns.start import TurnRequest, start

__all__ = [
    "Answer",
    "ainvoke",
    "astream",
    "cancel",
    "cancel_thread",
    "collect",
    "ended",
    "invoke",
    "load",
    "open_turn",
    "prepare",
    "stream",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. `reason` says why the model stopped: "length" means that the text was cut off."""

    text: str
    reason: str
    usage: Usage | None

    def __str__(self) -> str:
        return self.text


@async_unsafe("You cannot call this from an async context - use ainvoke().")
def invoke(text: str | None = None, *, user: Any | None = None, thread: UUID | None = None) -> Answer:
    """Ask for a whole answer; without a text the assistant opens the conversation.

    With a user, question and answer are stored as his, in the thread or in a new one, and his tokens are counted.
    Raises `ChatError` where there is no whole answer. Blocks its thread; use `ainvoke()` where an event loop runs.
    """
    with closing(stream(text, user=user, thread=thread)) as events:
        return collect(events)


async def ainvoke(text: str | None = None, *, user: Any | None = None, thread: UUID | None = None) -> Answer:
    """See invoke()."""
    async with aclosing(astream(text, user=user, thread=thread)) as events:
        return collect([event async for event in events])


@async_unsafe("You cannot call this from an async context - use astream().")
def stream(
    text: str | None = None, *, user: Any | None = None, thread: UUID | None = None
) -> Generator[Event, None, None]:
    """Ask for an answer as it is written: `Started`, `Delta`s, then one of `Finished`, `Failed` and `Cancelled`.

    Raises a `ChatError` where nothing can be asked now; every later failure is the last event. Closing the generator
    stops the turn.
    """
    turn = prepare(Question(text=text, thread=thread), load(), _caller(user), user)
    turn.start(background_loop())
    try:
        while True:
            events = turn.take_blocking()
            yield from events
            if ended(events):
                return
    finally:
        turn.cancel()


async def astream(
    text: str | None = None, *, user: Any | None = None, thread: UUID | None = None
) -> AsyncGenerator[Event, None]:
    """See stream()."""
    turn = await sync_to_async(_prepare_apart)(Question(text=text, thread=thread), user)
    turn.start(asyncio.get_running_loop())
    try:
        while True:
            events = await turn.take()
            for event in events:
                yield event
            if ended(events):
                return
    finally:
        turn.cancel()


def load() -> conf.Settings:
    """The settings. Raises `ChatNotConfigured` where they cannot work, or nothing can in this process."""
    try:
        check_threads()
        return conf.load()
    except ImproperlyConfigured as error:
        logger.error("The chat cannot work: %s", error)
        raise ChatNotConfigured(str(error)) from error


def prepare(question: Question, settings: conf.Settings, caller: Caller | None = None, user: Any | None = None) -> Turn:
    """A turn that was not started yet. With a user it is stored and paid for, as the settings have it.

    Raises `ChatNotConfigured` where there is no provider, `TooManyTurns` and `ChatBusy` where there is no room,
    `BudgetExhausted` where it would cost too much; `ThreadNotFound`, `ThreadBusy` and `QuestionRefused` of a question
    within a conversation.
    """
    turn = open_turn(question, settings, caller, user)
    assert isinstance(turn, Turn)  # Only a key leads to a subscription.
    return turn


def open_turn(
    question: Question,
    settings: conf.Settings,
    caller: Caller | None = None,
    user: Any | None = None,
    key: str = "",
) -> Turn | TurnSubscription:
    """See prepare(). The same key of the same user leads to the turn that it has begun before.

    Of an anonymous user nothing is stored, and nobody can come back to it; it counts in the site's budget.
    Raises `IdempotencyKeyReused` where that was asked something else.
    """
    caller = caller or Caller()
    return start(TurnRequest(question=question, settings=settings, caller=caller, user=user, key=key))


def _prepare_apart(question: Question, user: Any | None) -> Turn:
    """See prepare(); in a thread that gives its database connections back, since nobody else would."""
    try:
        return prepare(question, load(), _caller(user), user)
    finally:
        give_back_connections()


def _caller(user: Any | None) -> Caller:
    return Caller(user_id=str(user.pk)) if user and users.is_known(user) else Caller()


def ended(events: list[Event]) -> bool:
    """Whether the last of these events is the last of its turn."""
    return bool(events) and isinstance(events[-1], (Finished, Failed, Cancelled))


def collect(events: Iterable[Event]) -> Answer:
    """The answer that all events of a turn make. Raises its `ChatError` where they do not make a whole one."""
    whole = StringIO()
    for event in events:
        match event:
            case Delta(text=text):
                whole.write(text)
            case Finished(reason=reason, usage=usage):
                return Answer(text=whole.getvalue(), reason=reason, usage=usage)
            case Failed(error=error):
                raise error
    raise TurnCancelled
