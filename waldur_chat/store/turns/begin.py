"""Begin a turn in the database, before a model is called: its rows, its prompt, its reservation of tokens."""

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
from waldur_chat.messages import Message as PromptMessage
from waldur_chat.messages import Question, size_of
from waldur_chat.models import SystemPromptVersion, Thread, Turn
from waldur_chat.models.conversations import NAME_MAX_LENGTH, NEW_CHAT
from waldur_chat.store import rows
from waldur_chat.store.budgets import accounts
from waldur_chat.store.conversations import sessions
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.history import load_history, merge_consecutive
from waldur_chat.store.turns.position import MessagePosition, find_position

MESSAGE_TOKENS = 16
"""Tokens that a model's chat template may add to each message."""
BYTES_PER_TOKEN = 4
"""A usual ratio, for the estimated input of a turn that ends without reported usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The most tokens that a turn may use: `output_tokens` for its answer, `title_tokens` for a title (0: no title).

    `is_enforced` means that the providers limit the output themselves. `first_words` is the name of a new conversation
    for which no model is asked.
    """

    output_tokens: int = 0
    is_enforced: bool = True
    title_tokens: int = 0
    first_words: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPromptText:
    """The text of the system prompt, and the version written by staff that it contains."""

    text: str = field(default="", repr=False)
    version: SystemPromptVersion | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyInfo:
    """The Idempotency-Key of a request, None without one, and a hash of its question.

    `session` is the primary key of the user's session, if it is known.
    """

    key: str | None = None
    fingerprint: str = ""
    session: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTurn:
    """A turn that was written, and its prompt. Ids are 32 hexadecimal digits; they are empty for what does not exist.

    `row` is its primary key. `title_turn` is the turn that finds a title beside it; `is_title` means that it is such a
    turn itself. The engine stops the answer at `max_output_tokens`. `opens`: the assistant begins the conversation.
    """

    turn: str
    row: int = 0
    thread: str = ""
    question: str = ""
    title_turn: str = ""
    is_title: bool = False
    opens: bool = False
    max_output_tokens: int | None = None
    messages: tuple[PromptMessage, ...]


def begin_stored(
    user: Any,
    question: Question,
    settings: Settings,
    reservation: Reservation,
    limited: Sequence[accounts.Account],
    system: SystemPromptText,
    idempotency: IdempotencyInfo,
) -> StartedTurn:
    """Write the question and its turn, in a new conversation or in one of the user's own.

    Raises `ThreadNotFound`, `QuestionRefused`, `ThreadBusy` and `BudgetExhausted`; nothing is written then.
    """
    thread = _own_thread(user, question.thread) if question.thread else _new_thread(user, idempotency.session)
    try:
        with transaction.atomic():
            is_empty = _lock_thread(thread, question, reservation)
            position = find_position(question, thread, is_empty=is_empty)
            messages = _build_prompt(thread, position, settings, system.text)
            turns = _make_turns(user, thread, position, system.version, messages, reservation)
            turns[0].key, turns[0].fingerprint = idempotency.key, idempotency.fingerprint
            _set_reservations(turns, messages, reservation, limited)
            _write(thread, position, turns)
            # Last, since the locks on the accounts make all other turns of the user and of the site wait.
            accounts.reserve(sum(turn.reserved for turn in turns), limited, settings)
    except IntegrityError as error:  # A unique constraint allows one running answer per thread, and one turn per key.
        raise _busy_error(thread) from error
    return StartedTurn(
        turn=turns[0].uuid.hex,
        row=turns[0].pk,
        thread=thread.uuid.hex,
        question=position.question.uuid.hex if position.is_new and position.question else "",
        title_turn=turns[1].uuid.hex if len(turns) > 1 else "",
        opens=position.question is None,
        max_output_tokens=_enforced_limit(reservation, limited),
        messages=messages,
    )


def begin_unstored(
    user: Any,
    messages: tuple[PromptMessage, ...],
    settings: Settings,
    reservation: Reservation,
    limited: Sequence[accounts.Account],
    thread: UUID | None = None,
) -> StartedTurn:
    """Write a turn that stores no messages. With a thread of the user, its answer is the title of that thread.

    Raises `ThreadNotFound` and `BudgetExhausted`.
    """
    titled = _own_thread(user, thread) if thread else None
    purpose = Turn.Purpose.TITLE if titled else Turn.Purpose.ANSWER
    turn = Turn(
        user_id=user.pk,
        thread=titled,
        purpose=purpose,
        expires=leases.lease_end(),
        input_tokens=_max_input_tokens(messages) // BYTES_PER_TOKEN,
    )
    _set_reservations([turn], messages, reservation, limited)
    with transaction.atomic():
        rows.insert(turn)
        accounts.reserve(turn.reserved, limited, settings)
    return StartedTurn(
        turn=turn.uuid.hex,
        row=turn.pk,
        is_title=titled is not None,
        max_output_tokens=_enforced_limit(reservation, limited),
        messages=messages,
    )


def _own_thread(user: Any, uuid: UUID) -> Thread:
    thread: Thread | None = Thread.objects.filter(uuid=uuid, session__user=user.pk).first()
    if thread is None:
        raise ThreadNotFound
    return thread


def _new_thread(user: Any, session: int | None) -> Thread:
    """An unsaved thread: it is inserted with its turn, so that a refused question leaves no empty thread."""
    return Thread(session_id=session or sessions.get_or_create(user).pk)


def _lock_thread(thread: Thread, question: Question, reservation: Reservation) -> bool:
    """Count the question in its thread: an update, which locks an existing row, or attributes of a new instance.

    Returns whether the thread is new, and therefore empty.
    """
    is_empty: bool = thread._state.adding
    adds_question = question.text is not None and not question.mode
    is_named = adds_question and _wants_first_words(thread, reservation)
    names = {"name": reservation.first_words[:NAME_MAX_LENGTH]} if is_named else {}
    if is_empty:
        thread.message_count, thread.name = int(adds_question), names.get("name", thread.name)
        return True
    changes = {"modified": timezone.now(), "message_count": F("message_count") + int(adds_question), **names}
    if not Thread.objects.filter(pk=thread.pk).update(**changes):
        raise ThreadNotFound
    return False


def _wants_first_words(thread: Thread, reservation: Reservation) -> bool:
    return bool(reservation.first_words) and thread.name == NEW_CHAT and not thread.is_named


def _build_prompt(
    thread: Thread, position: MessagePosition, settings: Settings, system: str
) -> tuple[PromptMessage, ...]:
    """The system prompt, the history, and the question."""
    before = position.question.sequence_index if position.question else position.answer_index
    text = position.question.text if position.question else settings.opening_prompt
    history = load_history(thread, before, settings) if before else []
    instructions = [PromptMessage(role="system", text=system)] if system else []
    return merge_consecutive([*instructions, *history, PromptMessage(role="user", text=text)])


def _make_turns(
    user: Any,
    thread: Thread,
    position: MessagePosition,
    system: SystemPromptVersion | None,
    messages: tuple[PromptMessage, ...],
    reservation: Reservation,
) -> list[Turn]:
    """The turn for the answer, and one for the title if the conversation has none."""
    answer = Turn(
        user_id=user.pk,
        thread=thread,
        question=position.question,
        is_new_question=position.is_new,
        answer_index=position.answer_index,
        system_prompt=system,
        expires=leases.lease_end(),
        input_tokens=_max_input_tokens(messages) // BYTES_PER_TOKEN,
    )
    wants_title = reservation.title_tokens and position.question and thread.name == NEW_CHAT and not thread.is_named
    if not wants_title:
        return [answer]
    title = Turn(user_id=user.pk, thread=thread, purpose=Turn.Purpose.TITLE, expires=leases.lease_end())
    return [answer, title]


def _set_reservations(
    turns: Sequence[Turn],
    messages: tuple[PromptMessage, ...],
    reservation: Reservation,
    limited: Sequence[accounts.Account],
) -> None:
    """Set the worst case of each turn: one token per byte of the prompt, and the limits of the outputs."""
    if not limited:
        return
    worst_cases = (_max_input_tokens(messages) + reservation.output_tokens, reservation.title_tokens)
    for turn, tokens in zip(turns, worst_cases, strict=False):  # Without a title there is only one turn.
        turn.reserved = tokens


def _write(thread: Thread, position: MessagePosition, turns: Sequence[Turn]) -> None:
    """Insert the new rows."""
    if thread._state.adding:
        rows.insert(thread)
    if position.is_new and position.question:
        rows.insert(position.question)
    rows.insert_all(turns)


def _enforced_limit(reservation: Reservation, limited: Sequence[accounts.Account]) -> int | None:
    return reservation.output_tokens if limited and not reservation.is_enforced else None


def _max_input_tokens(messages: Iterable[PromptMessage]) -> int:
    """The most tokens that these messages can have: tokenizers produce at most one per byte."""
    return sum(size_of(message.text) + MESSAGE_TOKENS for message in messages)


def _busy_error(thread: Thread) -> ThreadBusy:
    """The error with the id of the running turn, if any. Queried by UUID, since a new thread has no primary key."""
    running = Turn.objects.filter(thread__uuid=thread.uuid, status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER)
    return ThreadBusy("".join(turn.uuid.hex for turn in running[:1]))
