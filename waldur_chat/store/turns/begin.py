"""Turns that are stored: how they begin, before a model is asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import ThreadBusy, ThreadNotFound
from waldur_chat.messages import Message as Said
from waldur_chat.messages import Question, size_of
from waldur_chat.models import SystemPromptVersion, Thread, Turn
from waldur_chat.models.conversations import NAME_MAX_LENGTH, NEW_CHAT
from waldur_chat.store import rows
from waldur_chat.store.budgets import accounts
from waldur_chat.store.conversations import sessions
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.history import said_before, taking_turns
from waldur_chat.store.turns.position import MessagePosition, place

MESSAGE_TOKENS = 16
"""What a model's template may add to each message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a turn may use: `output_tokens` of its answer, `title_tokens` of its title (0: none is asked for).

    `is_kept` says that the providers keep to it by themselves. `first_words` are the title of a new conversation that
    no model is asked to name.
    """

    output_tokens: int = 0
    is_kept: bool = True
    title_tokens: int = 0
    first_words: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPromptText:
    """What the model is told first: the system prompt, and the version of it that staff wrote."""

    text: str = field(default="", repr=False)
    version: SystemPromptVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyInfo:
    """Its Idempotency-Key, None where it has none, and what tells it from other requests.

    `session` is the row of the user's conversations, where it is known.
    """

    key: str | None = None
    fingerprint: str = ""
    session: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTurn:
    """A turn that was written, and what the model is told. Ids are 32 hexadecimal digits, empty for what is not there.

    `title_turn` is the turn that is to find a title beside it, `is_title` says that it is one itself;
    `max_output_tokens` is where the answer must be ended. `opens` says that the assistant opens the conversation.
    """

    turn: str
    row: int = 0
    thread: str = ""
    question: str = ""
    title_turn: str = ""
    is_title: bool = False
    opens: bool = False
    max_output_tokens: int | None = None
    messages: tuple[Said, ...]


def begin_stored(
    user: Any,
    question: Question,
    settings: Settings,
    promise: Reservation,
    limited: Sequence[accounts.Account],
    told: SystemPromptText,
    request: IdempotencyInfo,
) -> StartedTurn:
    """Write the question and its turn, in a new conversation or in one of the user's own.

    Raises `ThreadNotFound`, `QuestionRefused`, `ThreadBusy` and `BudgetExhausted`; then nothing was written.
    """
    thread = _own_thread(user, question.thread) if question.thread else _new_thread(user, request.session)
    try:
        with transaction.atomic():
            is_empty = _lock(thread, question, promise)
            placed = place(question, thread, is_empty=is_empty)
            messages = _prompt(thread, placed, settings, told.text)
            turns = _turns(user, thread, placed, told.version, messages, promise)
            turns[0].key, turns[0].fingerprint = request.key, request.fingerprint
            _hold(turns, messages, promise, limited)
            _write(thread, placed, turns)
            accounts.reserve(sum(turn.reserved for turn in turns), limited, settings)
    except IntegrityError as error:
        raise _busy(thread) from error
    return StartedTurn(
        turn=turns[0].uuid.hex,
        row=turns[0].pk,
        thread=thread.uuid.hex,
        question=placed.question.uuid.hex if placed.is_new and placed.question else "",
        title_turn=turns[1].uuid.hex if len(turns) > 1 else "",
        opens=placed.question is None,
        max_output_tokens=_limit(promise, limited),
        messages=messages,
    )


def begin_unstored(
    user: Any,
    messages: tuple[Said, ...],
    settings: Settings,
    promise: Reservation,
    limited: Sequence[accounts.Account],
    thread: UUID | None = None,
) -> StartedTurn:
    """Write a turn that leaves no message behind. With a thread, the user's own, its answer is the title of that.

    Raises `ThreadNotFound` and `BudgetExhausted`.
    """
    named = _own_thread(user, thread) if thread else None
    purpose = Turn.Purpose.TITLE if named else Turn.Purpose.ANSWER
    turn = Turn(
        user_id=user.pk,
        thread=named,
        purpose=purpose,
        expires=leases.lease_end(),
        input_tokens=_asked(messages) // 4,
    )
    _hold([turn], messages, promise, limited)
    with transaction.atomic():
        rows.insert(turn)
        accounts.reserve(turn.reserved, limited, settings)
    return StartedTurn(
        turn=turn.uuid.hex,
        row=turn.pk,
        is_title=named is not None,
        max_output_tokens=_limit(promise, limited),
        messages=messages,
    )


def _own_thread(user: Any, uuid: UUID) -> Thread:
    thread: Thread | None = Thread.objects.filter(uuid=uuid, session__user=user.pk).first()
    if thread is None:
        raise ThreadNotFound
    return thread


def _new_thread(user: Any, session: int | None) -> Thread:
    """A thread that is not written yet, so that it goes where its turn goes."""
    return Thread(session_id=session or sessions.current(user).pk)


def _lock(thread: Thread, question: Question, promise: Reservation) -> bool:
    """Write a thread that is there, which locks it, or prepare a new one; it shows the question already.

    Tells whether it is new, so that there is nothing in it yet.
    """
    is_empty: bool = thread._state.adding
    is_asked = question.text is not None and not question.mode
    names = {"name": promise.first_words[:NAME_MAX_LENGTH]} if is_asked and _wants_first_words(thread, promise) else {}
    if is_empty:
        thread.message_count, thread.name = int(is_asked), names.get("name", thread.name)
        return True
    changes = {"modified": timezone.now(), "message_count": F("message_count") + int(is_asked), **names}
    if not Thread.objects.filter(pk=thread.pk).update(**changes):
        raise ThreadNotFound
    return False


def _wants_first_words(thread: Thread, promise: Reservation) -> bool:
    return bool(promise.first_words) and thread.name == NEW_CHAT and not thread.is_named


def _prompt(thread: Thread, placed: MessagePosition, settings: Settings, told: str) -> tuple[Said, ...]:
    """The system prompt, what was said before, and the question once."""
    before = placed.question.sequence_index if placed.question else placed.answer_index
    text = placed.question.text if placed.question else settings.opening_prompt
    history = said_before(thread, before, settings) if before else []
    told_first = [Said(role="system", text=told)] if told else []
    return taking_turns([*told_first, *history, Said(role="user", text=text)])


def _turns(
    user: Any,
    thread: Thread,
    placed: MessagePosition,
    system: SystemPromptVersion | None,
    messages: tuple[Said, ...],
    promise: Reservation,
) -> list[Turn]:
    """The turn for the answer, and the one for the title of a conversation that has none."""
    answer = Turn(
        user_id=user.pk,
        thread=thread,
        question=placed.question,
        is_new_question=placed.is_new,
        answer_index=placed.answer_index,
        system_prompt=system,
        expires=leases.lease_end(),
        input_tokens=_asked(messages) // 4,
    )
    wants_title = promise.title_tokens and placed.question and thread.name == NEW_CHAT and not thread.is_named
    if not wants_title:
        return [answer]
    title = Turn(user_id=user.pk, thread=thread, purpose=Turn.Purpose.TITLE, expires=leases.lease_end())
    return [answer, title]


def _hold(
    turns: Sequence[Turn], messages: tuple[Said, ...], promise: Reservation, limited: Sequence[accounts.Account]
) -> None:
    """What each may need at most: a token for each byte of the question, and all that the answers may have."""
    if not limited:
        return
    for turn, tokens in zip(turns, (_asked(messages) + promise.output_tokens, promise.title_tokens), strict=False):
        turn.reserved = tokens


def _write(thread: Thread, placed: MessagePosition, turns: Sequence[Turn]) -> None:
    """Write what is new, before tokens are reserved: all turns of a user, and of the site, wait for that."""
    if thread._state.adding:
        rows.insert(thread)
    if placed.is_new and placed.question:
        rows.insert(placed.question)
    rows.insert_all(turns)


def _limit(promise: Reservation, limited: Sequence[accounts.Account]) -> int | None:
    return promise.output_tokens if limited and not promise.is_kept else None


def _asked(messages: Iterable[Said]) -> int:
    """The most tokens that these messages can have."""
    return sum(size_of(message.text) + MESSAGE_TOKENS for message in messages)


def _busy(thread: Thread) -> ThreadBusy:
    """What keeps a second turn out of the thread, which has no key where it is new."""
    running = Turn.objects.filter(thread__uuid=thread.uuid, status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER)
    return ThreadBusy("".join(turn.uuid.hex for turn in running[:1]))
