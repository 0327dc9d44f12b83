"""The Python API: call the site's model from a view, a task or a command.

    from waldur_chat import chat

    answer = chat.invoke("What is a VPC?")          # an Answer; await chat.ainvoke(...) in asynchronous code
    for event in chat.stream("What is a VPC?"):     # events; async for ... in chat.astream(...)
        ...

It applies the site's settings, but none of its switches: the caller decides whether a user may chat.
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
from waldur_chat.runtime.connections import release_connections
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
    """A complete answer. `reason` is the stop reason: "length" means that the text was cut off."""

    text: str
    reason: str
    usage: Usage | None

    def __str__(self) -> str:
        return self.text


@async_unsafe("You cannot call this from an async context - use ainvoke().")
def invoke(text: str | None = None, *, user: Any | None = None, thread: UUID | None = None) -> Answer:
    """Return a complete answer. Without a text the assistant opens the conversation.

    With a user, question and answer are stored as theirs, in the thread or in a new one, and their tokens are counted.
    Raises `ChatError` if there is no complete answer. Blocks its thread; use `ainvoke()` where an event loop runs.
    """
    with closing(stream(text, user=user, thread=thread)) as events:
        return collect(events)


async def ainvoke(text: str | None = None, *, user: Any | None = None, thread: UUID | None = None) -> Answer:
    """Return a complete answer, as invoke() does, without blocking the event loop."""
    async with aclosing(astream(text, user=user, thread=thread)) as events:
        return collect([event async for event in events])


@async_unsafe("You cannot call this from an async context - use astream().")
def stream(
    text: str | None = None, *, user: Any | None = None, thread: UUID | None = None
) -> Generator[Event, None, None]:
    """Yield the answer as events: `Started`, `Delta`s, then one of `Finished`, `Failed` and `Cancelled`.

    Raises a `ChatError` if the turn cannot start; a later failure is the last event. Closing the generator cancels the
    turn.
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
    """Yield the answer as events, as stream() does, without blocking the event loop."""
    turn = await sync_to_async(_prepare_in_thread)(Question(text=text, thread=thread), user)
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
    """Load the settings. Raises `ChatNotConfigured` if they are wrong, or the process cannot run an event loop."""
    try:
        check_threads()
        return conf.load()
    except ImproperlyConfigured as error:
        logger.error("The chat cannot work: %s", error)
        raise ChatNotConfigured(str(error)) from error


def prepare(question: Question, settings: conf.Settings, caller: Caller | None = None, user: Any | None = None) -> Turn:
    """Return a turn that is not started yet. With a user it is stored and limited, according to the settings.

    Raises `ChatNotConfigured` if there is no provider, `TooManyTurns` and `ChatBusy` if there is no room,
    `BudgetExhausted` if the tokens do not suffice; `ThreadNotFound`, `ThreadBusy` and `QuestionRefused` for a question
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
    """Return a turn as prepare() does, or a subscription to the turn that the user started with this key before.

    For an anonymous user nothing is stored, and the turn cannot be resumed; its usage counts in the site's budget.
    Raises `IdempotencyKeyReused` if the key belongs to another question, and the errors of prepare().
    """
    caller = caller or Caller()
    return start(TurnRequest(question=question, settings=settings, caller=caller, user=user, key=key))


def _prepare_in_thread(question: Question, user: Any | None) -> Turn:
    """Prepare a turn in a worker thread, and release its database connections: no request does that there."""
    try:
        return prepare(question, load(), _caller(user), user)
    finally:
        release_connections()


def _caller(user: Any | None) -> Caller:
    return Caller(user_id=str(user.pk)) if user and users.is_known(user) else Caller()


def ended(events: list[Event]) -> bool:
    """Whether the last of these events is the last of its turn."""
    return bool(events) and isinstance(events[-1], (Finished, Failed, Cancelled))


def collect(events: Iterable[Event]) -> Answer:
    """Join all events of a turn to its answer. Raises the turn's `ChatError` if the answer is not complete."""
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
