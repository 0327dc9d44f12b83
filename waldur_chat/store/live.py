"""Turns that run, in whatever process: a lease says of each that it lives; anybody may ask for one to be stopped."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from waldur_chat.events import Usage
from waldur_chat.models import Thread, Turn

LEASE_SECONDS = 6.0
"""How long a turn counts as running after its process has last been heard of."""


def lease_end() -> datetime:
    """When the lease of a turn that is heard of now ends."""
    return timezone.now() + timedelta(seconds=LEASE_SECONDS)


def renew(used: Mapping[str, Usage | None]) -> None:
    """Say that these turns still run, and what those have used so far of which that is given.

    A process does it for all of its turns.
    """
    if not used:
        return
    running = Turn.objects.filter(status=Turn.Status.RUNNING)
    running.filter(uuid__in=[UUID(turn) for turn in used]).update(expires=lease_end())
    known = {UUID(turn): usage for turn, usage in used.items() if usage}
    changed = [_used(turn, known[turn.uuid]) for turn in running.filter(uuid__in=known).only("uuid")] if known else []
    running.bulk_update(changed, ["input_tokens", "output_tokens"], batch_size=200)


def cancelled() -> list[str]:
    """The running turns that somebody asked to stop, of all processes."""
    found = Turn.objects.filter(status=Turn.Status.RUNNING, is_cancelled=True).values_list("uuid", flat=True)
    return [turn.hex for turn in found]


def ask_to_cancel(thread: Thread) -> list[str]:
    """Ask the processes of this conversation's running turns to stop them; gives their ids."""
    running = Turn.objects.filter(thread=thread, status=Turn.Status.RUNNING)
    found = [turn.hex for turn in running.values_list("uuid", flat=True)]
    if found:
        running.update(is_cancelled=True)
    return found


def ask_to_cancel_turn(turn: str) -> None:
    """Ask the process of this turn to stop it."""
    Turn.objects.filter(uuid=UUID(turn)).update(is_cancelled=True)


def _used(turn: Turn, usage: Usage) -> Turn:
    turn.input_tokens, turn.output_tokens = usage.input_tokens, usage.output_tokens
    return turn
