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
from waldur_chat.runtime import tenants
from waldur_chat.store.turns import leases
from waldur_chat.turns.heartbeat import heartbeat_of_process
from waldur_chat.turns.reaper import Reaper, reaper_of_process

PAUSE_SECONDS = 0.05
"""How often a question checks whether the turn that it replaces has ended."""


def cancel_turn(turn_id: str) -> bool:
    """Cancel a turn of this process, which then ends with `Cancelled`; False if it does not run here."""
    return running_turns.cancel(turn_id)


def cancel_thread(thread: Thread) -> None:
    """Cancel the turns of a conversation: in this process at once, in others within a second.

    A turn whose process died is ended as soon as that is known.
    """
    if turns := leases.request_cancel(thread):
        for turn_id in turns:
            running_turns.cancel(turn_id)
        _watching_reaper().end_dead(thread=thread)


def remove_obstacle(refusal: BudgetExhausted | ThreadBusy, user: Any, settings: Settings) -> bool:
    """End dead turns, or cancel the running turn, that caused this refusal. Returns whether to try again.

    While it is not known yet whether the turn in the way is dead, the refusal says when it will be.
    """
    reaper = _watching_reaper()
    if isinstance(refusal, BudgetExhausted):
        # Dead turns hold reservations until they are ended.
        return bool(reaper.end_dead(**({"user_id": user.pk} if refusal.scope == "user" else {})))
    # Either the process of that turn died, or the turn has just ended.
    if not refusal.turn or reaper.end_dead(uuid=refusal.turn):
        return True
    refusal.retry_after = reaper.retry_after(refusal.turn)
    if settings.busy_thread == "refuse":
        return False
    leases.request_turn_cancel(refusal.turn)
    running_turns.cancel(refusal.turn)
    time.sleep(PAUSE_SECONDS)
    return True


def _watching_reaper() -> Reaper:
    """The reaper of this process, which from now on looks for dead turns, also if none ever ran here."""
    tenant = tenants.current()
    heartbeat_of_process(tenant).look_for_dead_turns()
    return reaper_of_process(tenant)
