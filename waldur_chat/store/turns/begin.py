"""Begin a turn in the database, before a model is called: its rows, its prompt, its reservation of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import ThreadBusy, ThreadNotFound
from waldur_chat.messages import Message as PromptMessage
from waldur_chat.messages import Question
from waldur_chat.models import SystemPromptVersion, Thread, ToolCall, Turn
from waldur_chat.models.conversations import NAME_MAX_LENGTH, NEW_CHAT
from waldur_chat.store import rows
from waldur_chat.store.budgets import accounts, reservations
from waldur_chat.store.budgets.reservations import Reservation, Reserved
from waldur_chat.store.conversations import sessions
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.approvals import decisions
from waldur_chat.store.turns.history import StoredPrompt, load_history, told_answers
from waldur_chat.store.turns.new_turns import make_turns, usual_input_tokens, with_reservations
from waldur_chat.store.turns.position import MessagePosition, find_position


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

    `title_turn` is the turn that finds a title beside it; `is_title` means that it is such a turn itself. `reserved` is
    what is held for it, None without limits. `is_shortened` means that its history was cut to fit into the budget.
    `opens`: the assistant begins the conversation. The first `unanswered_length` characters of the last message are
    earlier questions; see `messages.Prompt`. `decided` are calls of tools on which the user has decided: the turn runs
    those that were approved, before the model goes on.
    """

    turn: str
    thread: str = ""
    question: str = ""
    title_turn: str = ""
    title_reserved: Reserved | None = None
    is_title: bool = False
    is_shortened: bool = False
    opens: bool = False
    reserved: Reserved | None = None
    messages: tuple[PromptMessage, ...]
    unanswered_length: int = 0
    decided: tuple[ToolCall, ...] = ()


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

    Raises `ThreadNotFound`, `InvalidQuestion`, `ThreadBusy` and `BudgetExhausted`, and `IntegrityError` if another
    constraint is violated than those for which a turn is in the way; nothing is written then.
    """
    thread = _own_thread(user, question.thread) if question.thread else _new_thread(user, idempotency.session)
    try:
        with transaction.atomic():
            is_empty = _lock_thread(thread, question, reservation)
            decided = decisions.decide_last(user, thread, question.decision) if question.decision else None
            position = decided.position if decided else find_position(question, thread, is_empty=is_empty)
            prompt = _build_prompt(thread, position, settings, system.text)
            answer_only = replace(reservation, title_input_tokens=0)
            messages, is_shortened = prompt.shortened(lambda told: reservations.fits(told, answer_only, limited))
            if not reservations.fits(messages, reservation, limited):
                reservation = answer_only  # The title waits for a better day.
            turns = make_turns(user, thread, position, system.version, messages, reservation)
            turns[0].tool_events = len(decided.calls) if decided else 0
            turns[0].key, turns[0].fingerprint = idempotency.key, idempotency.fingerprint
            reserved = reservations.likely(messages, reservation, limited)
            _write(thread, position, with_reservations(turns, reserved, reservation))
            if decided:
                decisions.hand_over(decided, turns[0])
            # Last, since the locks on the accounts make all other turns of the user and of the site wait.
            reserved = _reserve(turns, reserved, limited, settings)
    except IntegrityError as error:  # A unique constraint allows one running answer per thread, and one turn per key.
        if turn := _turn_in_the_way(user, thread, idempotency.key):
            raise ThreadBusy(turn) from error
        raise
    return StartedTurn(
        turn=turns[0].uuid.hex,
        thread=thread.uuid.hex,
        question=position.question.uuid.hex if position.is_new and position.question else "",
        title_turn=turns[1].uuid.hex if len(turns) > 1 else "",
        title_reserved=reserved and reservations.likely_of_title(reservation, reserved),
        is_shortened=is_shortened,
        opens=position.question is None,
        reserved=reserved,
        messages=messages,
        unanswered_length=_unanswered_length(messages, _question_text(position, settings)),
        decided=decided.calls if decided else (),
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
        expires=leases.new_lease(),
        input_tokens=usual_input_tokens(messages),
    )
    reserved = reservations.likely(messages, reservation, limited)
    with transaction.atomic():
        rows.insert_all(with_reservations([turn], reserved, reservation))
        reserved = _reserve([turn], reserved, limited, settings)
    return StartedTurn(
        turn=turn.uuid.hex,
        is_title=titled is not None,
        reserved=reserved,
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


def _build_prompt(thread: Thread, position: MessagePosition, settings: Settings, system: str) -> StoredPrompt:
    """The system prompt, the history, and the question."""
    before = position.history_end
    return StoredPrompt(
        instructions=[PromptMessage(role="system", text=system)] if system else [],
        history=load_history(thread, before, settings) if before else [],
        question=PromptMessage(role="user", text=_question_text(position, settings)),
        answers=told_answers(position.goes_on_after) if position.goes_on_after else [],
    )


def _unanswered_length(messages: Sequence[PromptMessage], question: str) -> int:
    """How many characters of earlier questions stand before this one in the same message."""
    asked = next(message for message in reversed(messages) if message.role == "user")
    return len(asked.text) - len(question)


def _question_text(position: MessagePosition, settings: Settings) -> str:
    return position.question.text if position.question else settings.opening_prompt


def _reserve(
    turns: Sequence[Turn], reserved: Reserved | None, limited: Sequence[accounts.Account], settings: Settings
) -> Reserved | None:
    """Hold what is likely needed for these turns, or all that is left, which then is less output of the first one."""
    if reserved is None:
        return None
    wanted = sum(turn.reserved for turn in turns)
    needed = wanted - reserved.tokens + reserved.input_tokens + 1
    granted = reservations.reserve(wanted, needed, limited, settings)
    if granted == wanted:
        return reserved
    turns[0].reserved -= wanted - granted
    Turn.objects.filter(pk=turns[0].pk).update(reserved=turns[0].reserved)
    return replace(reserved, tokens=turns[0].reserved)


def _write(thread: Thread, position: MessagePosition, turns: Sequence[Turn]) -> None:
    """Insert the new rows."""
    if thread._state.adding:
        rows.insert(thread)
    if position.is_new and position.question:
        rows.insert(position.question)
    rows.insert_all(turns)


def _turn_in_the_way(user: Any, thread: Thread, key: str | None) -> str:
    """The turn that runs in the thread, or that the user has started with this key; empty if there is none.

    The thread is found by UUID, since a new one has no primary key.
    """
    turns = Turn.objects.filter(thread__uuid=thread.uuid, status=Turn.Status.RUNNING, purpose=Turn.Purpose.ANSWER)
    turn = turns.first() or (Turn.objects.filter(user=user.pk, key=key).first() if key else None)
    return turn.uuid.hex if turn else ""
