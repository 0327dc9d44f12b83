"""Turns whose process seems to be dead."""

from __future__ import annotations

import time

from waldur_chat.engine import running_turns
from waldur_chat.models import Turn
from waldur_chat.store.turns import interruption, leases
from waldur_chat.turns.reaper import LONGEST_GAP_SECONDS, LOOK_SECONDS, LeaseObserver, reaper_of_process


def seen_unchanged(*turns: Turn, seconds: float | None = None) -> None:
    """Let this process have seen the leases of these turns unchanged for so long; by default until they count as dead.

    It is time for the next look then.
    """
    observer, left = LeaseObserver(), leases.unchanged_seconds() if seconds is None else seconds
    found = {turn.expires for turn in Turn.objects.filter(pk__in=[turn.pk for turn in turns])}
    at = time.monotonic() - LOOK_SECONDS - left
    observer.note(found, at, at)
    while left > 0:
        step = min(left, LONGEST_GAP_SECONDS)
        at, left = at + step, left - step
        observer.note(found, at, at)
    reaper_of_process().observer = observer


def end_dead() -> int:
    """End all turns that do not run in this process, as if theirs were dead; return their number."""
    return interruption.interrupt(leases.of_running_turns(), running_turns.find)
