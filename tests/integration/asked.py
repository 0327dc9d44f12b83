"""Begins and ends turns in the store, as a process does that asks no model."""

from __future__ import annotations

from typing import Any

from waldur_chat import conf
from waldur_chat.events import StoredMessages, Usage
from waldur_chat.messages import Question
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.store.budgets import accounts
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import finish
from waldur_chat.store.turns.begin import StartedTurn, SystemPromptText

USED = Usage(input_tokens=3, output_tokens=4)


def begin(user: Any, text: str | None = "Hello", *, promise: Reservation | None = None, **question: Any) -> StartedTurn:
    """Write a question and its turn, under the settings of the site."""
    settings = conf.load()
    limited = accounts.limited_accounts(user, settings)
    return begin_turns.begin_stored(
        user,
        Question(text=text, **question),
        settings,
        promise or Reservation(),
        limited,
        SystemPromptText(),
        begin_turns.IdempotencyInfo(),
    )


def end(begun: StartedTurn, text: str = "An answer", status: str = "finished", **fields: Any) -> StoredMessages | None:
    """End that turn."""
    return finish.finish_turn(
        begun.turn, finish.TurnOutcome(status=status, text=text, **{"usage": USED, "model": "m", **fields})
    )


def row_of(begun: StartedTurn) -> Turn:
    """The turn in the database."""
    found: Turn = Turn.objects.get(uuid=begun.turn)
    return found


def told(begun: StartedTurn) -> list[tuple[str, str]]:
    """What the model is told: who spoke, and what."""
    return [(message.role, message.text) for message in begun.messages]


def standing(thread: Thread) -> list[str]:
    """The texts of a conversation that are in force."""
    current = Message.objects.filter(thread=thread, is_current=True)
    return list(current.order_by("sequence_index").values_list("text", flat=True))
