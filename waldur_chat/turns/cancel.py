"""Giving up turns: one, or all of a conversation, or what stands in the way of a new one.

Whether somebody may stop a turn is the caller's decision.
"""

from __future__ import annotations

import time
from typing import Any

from waldur_chat.conf import Settings
from waldur_chat.engine import running_turns
from waldur_chat.errors import BudgetExhausted, ThreadBusy
from waldur_chat.models import Thread
from waldur_chat.store.turns import finish, leases

PAUSE_SECONDS = 0.05
"""How often a question looks whether the turn that it replaces has ended."""


def cancel_turn(turn_id: str) -> bool:
    """Stop a turn of this process, which then ends with `Cancelled`; False where it does not run here."""
    return running_turns.cancel(turn_id)


def cancel_thread(thread: Thread) -> None:
    """Stop what runs in a conversation, in this process at once and in others within a second."""
    for turn_id in leases.request_cancel(thread):
        running_turns.cancel(turn_id)
    finish.finish_expired(running_turns.find, thread=thread)


def make_room(refusal: BudgetExhausted | ThreadBusy, user: Any, settings: Settings) -> bool:
    """Whether it is worth trying again: what was in the way belonged to a dead process, or is being stopped."""
    if isinstance(refusal, BudgetExhausted):
        return bool(
            finish.finish_expired(running_turns.find, **({"user_id": user.pk} if refusal.scope == "user" else {}))
        )
    if not refusal.turn or finish.finish_expired(running_turns.find, uuid=refusal.turn):
        return True
    if settings.busy_thread == "refuse":
        return False
    leases.request_turn_cancel(refusal.turn)
    running_turns.cancel(refusal.turn)
    time.sleep(PAUSE_SECONDS)
    return True
