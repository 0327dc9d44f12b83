"""Ask the model from the host's own code, and start turns for the API."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, closing
from dataclasses import replace
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.utils.asyncio import async_unsafe

from waldur_chat import conf, users
from waldur_chat.chat.answers import Answer, ended
from waldur_chat.chat.structured import Asked, ask
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ChatError, ChatNotConfigured
from waldur_chat.events import Event
from waldur_chat.messages import Question
from waldur_chat.metrics import observer
from waldur_chat.record import Caller, TurnTimes
from waldur_chat.runtime.connections import release_connections
from waldur_chat.runtime.loop import background_loop, check_threads
from waldur_chat.schemas.answers import form_of
from waldur_chat.turns.host.options import checked_options
from waldur_chat.turns.resume import TurnSubscription
from waldur_chat.turns.start import start
from waldur_chat.turns.turn_request import TurnRequest

logger = logging.getLogger(__name__)

GivenMessages = Sequence[Mapping[str, str]]


@async_unsafe("You cannot call this from an async context - use ainvoke().")
def invoke(
    text: str | None = None,
    *,
    user: Any | None = None,
    thread: UUID | str | None = None,
    schema: type | Mapping[str, Any] | None = None,
    system: str | None = None,
    messages: GivenMessages | None = None,
    max_output_tokens: int | None = None,
    model: str = "",
) -> Answer:
    """Return a complete answer. Without a text the assistant opens the conversation.

    With a user, question and answer are stored as theirs, in the thread or in a new one, and their tokens are counted.
    With a schema (a JSON Schema or a dataclass) `Answer.value` is what the answer holds; one that does not fit is asked
    for once more. The other options are those of `stream()`.

    Raises `ChatError` if there is no complete answer, `InvalidAnswer` among them if it does not fit the schema;
    `ValueError` and `TypeError` for wrong options. Blocks its thread; use `ainvoke()` where an event loop runs.
    """
    dialogue = ask(_asked(text, thread, system, messages, max_output_tokens, model, schema))
    asked = next(dialogue)
    while True:
        with closing(_stream(asked, user)) as events:
            try:
                asked = dialogue.send(events)
            except StopIteration as end:
                answer: Answer = end.value
                return answer


async def ainvoke(
    text: str | None = None,
    *,
    user: Any | None = None,
    thread: UUID | str | None = None,
    schema: type | Mapping[str, Any] | None = None,
    system: str | None = None,
    messages: GivenMessages | None = None,
    max_output_tokens: int | None = None,
    model: str = "",
) -> Answer:
    """Return a complete answer, as invoke() does, without blocking the event loop."""
    dialogue = ask(_asked(text, thread, system, messages, max_output_tokens, model, schema))
    asked = next(dialogue)
    while True:
        async with aclosing(_astream(asked, user)) as events:
            told = [event async for event in events]
        try:
            asked = dialogue.send(told)
        except StopIteration as end:
            answer: Answer = end.value
            return answer


@async_unsafe("You cannot call this from an async context - use astream().")
def stream(
    text: str | None = None,
    *,
    user: Any | None = None,
    thread: UUID | str | None = None,
    system: str | None = None,
    messages: GivenMessages | None = None,
    max_output_tokens: int | None = None,
    model: str = "",
) -> Generator[Event, None, None]:
    """Yield the answer as events: `Started`, `Delta`s, then one of `Finished`, `Failed` and `Cancelled`.

    `system` replaces the site's system prompt. `messages` are what was said before the text, as dicts of `role` (user
    or assistant) and `content`, in place of a stored conversation; without a text the last of them is the question.
    `model` is the name of a provider in the settings, asked with its own fallbacks only. The answer has at most
    `max_output_tokens`, and no more than the provider's own limit.

    `Warned` follows `Started` if the reader should know something of the answer. Raises a `ChatError` if the turn
    cannot start; a later failure is the last event. Closing the generator cancels the turn.
    """
    return _stream(_asked(text, thread, system, messages, max_output_tokens, model), _checked_user(user))


def astream(
    text: str | None = None,
    *,
    user: Any | None = None,
    thread: UUID | str | None = None,
    system: str | None = None,
    messages: GivenMessages | None = None,
    max_output_tokens: int | None = None,
    model: str = "",
) -> AsyncGenerator[Event, None]:
    """Yield the answer as events, as stream() does, without blocking the event loop."""
    return _astream(_asked(text, thread, system, messages, max_output_tokens, model), user)


def _asked(
    text: str | None,
    thread: UUID | str | None,
    system: str | None,
    messages: GivenMessages | None,
    max_output_tokens: int | None,
    model: str,
    schema: type | Mapping[str, Any] | None = None,
) -> Asked:
    """The question with its options. Raises `TypeError` and `ValueError` for options that are wrong."""
    if not (text is None or isinstance(text, str)):
        raise TypeError("The question must be a string; None lets the assistant open the conversation.")
    options = checked_options(system, messages, max_output_tokens)
    if options.history is not None and thread:
        raise ValueError("Give messages or a thread, not both.")
    if options.history is not None and text is None:
        if not (options.history and options.history[-1].role == "user"):
            raise ValueError("Without a text the last of the messages must be the user's.")
        text, options = options.history[-1].text, replace(options, history=options.history[:-1])
    form = None if schema is None else form_of(schema)
    question = Question(text=text, thread=_checked_thread(thread))
    return Asked(question=question, options=replace(options, form=form), model=model)


def _checked_thread(thread: UUID | str | None) -> UUID | None:
    if thread is None or isinstance(thread, UUID):
        return thread
    try:
        return UUID(thread)
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError("thread must be the id of a conversation: a UUID, or Answer.thread.") from error


def _stream(asked: Asked, user: Any | None) -> Generator[Event, None, None]:
    turn = _prepare_asked(asked, user)
    turn.start(background_loop())
    try:
        while True:
            events = turn.take_blocking()
            yield from events
            if ended(events):
                return
    finally:
        turn.cancel()


async def _astream(asked: Asked, user: Any | None) -> AsyncGenerator[Event, None]:
    turn = await sync_to_async(_prepare_in_thread)(asked, user)
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
    `BudgetExhausted` if the tokens do not suffice; `ThreadNotFound`, `ThreadBusy` and `InvalidQuestion` for a question
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
    tool_caller: Callable[[], Any] | None = None,
) -> Turn | TurnSubscription:
    """Return a turn as prepare() does, or a subscription to the turn that the user started with this key before.

    For an anonymous user nothing is stored, and the turn cannot be resumed; its usage counts in the site's budget.
    `tool_caller` returns what tools need of the user's request, a `tools.caller.ToolCaller`.

    Raises `IdempotencyKeyReused` if the key belongs to another question, and the errors of prepare().
    """
    request = TurnRequest(
        question=question,
        settings=settings,
        caller=caller or Caller(),
        user=user,
        key=key,
        tool_caller=tool_caller,
        times=_times(settings),
    )
    return _start(request)


def _start(request: TurnRequest) -> Turn | TurnSubscription:
    try:
        return start(request)
    except ChatError as error:
        observer().turn_refused(error)
        raise


def _times(settings: conf.Settings) -> TurnTimes | None:
    """What measures a turn from now on; None without `METRICS`."""
    return TurnTimes() if settings.metrics else None


def _prepare_asked(asked: Asked, user: Any | None) -> Turn:
    settings = load().asking(asked.model)
    request = TurnRequest(
        question=asked.question,
        settings=settings,
        caller=_caller(user),
        user=user,
        options=asked.options,
        times=_times(settings),
    )
    turn = _start(request)
    assert isinstance(turn, Turn)  # Only a key leads to a subscription.
    return turn


def _prepare_in_thread(asked: Asked, user: Any | None) -> Turn:
    """Prepare a turn in a worker thread, and release its database connections: no request does that there."""
    try:
        return _prepare_asked(asked, user)
    finally:
        release_connections()


def _checked_user(user: Any | None) -> Any | None:
    """The user. Not called on an event loop: a lazy `request.user` may ask the database."""
    if not (user is None or hasattr(user, "pk")):
        raise TypeError(f"user must be a user of the site, not {type(user).__name__}.")
    return user


def _caller(user: Any | None) -> Caller:
    user = _checked_user(user)
    return Caller(user_id=str(user.pk)) if user and users.is_known(user) else Caller()
