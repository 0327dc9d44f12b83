"""Cancels turns: one, all of a conversation, or those in the way of a new one.

The caller checks whether the user may do so.
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
"""How often a question checks whether the turn that it replaces has ended."""


def cancel_turn(turn_id: str) -> bool:
    """Cancel a turn of this process, which then ends with `Cancelled`; False if it does not run here."""
    return running_turns.cancel(turn_id)


def cancel_thread(thread: Thread) -> None:
    """Cancel the turns of a conversation: in this process at once, in others within a second."""
    for turn_id in leases.request_cancel(thread):
        running_turns.cancel(turn_id)
    finish.finish_expired(running_turns.find, thread=thread)


def remove_obstacle(refusal: BudgetExhausted | ThreadBusy, user: Any, settings: Settings) -> bool:
    """End dead turns, or cancel the running turn, that caused this refusal. Returns whether to try again."""
    if isinstance(refusal, BudgetExhausted):
        # Dead turns hold reservations until they are ended.
        return bool(
            finish.finish_expired(running_turns.find, **({"user_id": user.pk} if refusal.scope == "user" else {}))
        )
    # Either the process of that turn died, or the turn has just ended.
    if not refusal.turn or finish.finish_expired(running_turns.find, uuid=refusal.turn):
        return True
    if settings.busy_thread == "refuse":
        return False
    leases.request_turn_cancel(refusal.turn)
    running_turns.cancel(refusal.turn)
    time.sleep(PAUSE_SECONDS)
    return True
