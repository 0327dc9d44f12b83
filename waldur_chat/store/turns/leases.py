"""Leases of running turns, which their processes renew, and requests to cancel turns of any process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseUpdate:
    """What its process knows of a turn that runs.

    `model` is the one that it asks, empty where it is not known; `usage` is None where the answer's text tells it.
    """

    model: str = ""
    usage: Usage | None = None


def renew(turns: Mapping[str, LeaseUpdate]) -> None:
    """Renew the leases of these turns, which are all of a process, and store what the reaper would charge for them."""
    by_model = defaultdict(list)
    for turn, alive in turns.items():
        by_model[alive.model].append(UUID(turn))
    running = Turn.objects.filter(status=Turn.Status.RUNNING)
    for model, uuids in by_model.items():
        asked = {"model": model[:200]} if model else {}
        running.filter(uuid__in=uuids).update(expires=lease_end(), **asked)
    known = {UUID(turn): alive.usage for turn, alive in turns.items() if alive.usage}
    changed = [_used(turn, known[turn.uuid]) for turn in running.filter(uuid__in=known).only("uuid")] if known else []
    running.bulk_update(changed, ["input_tokens", "output_tokens"], batch_size=200)


def cancelled() -> list[str]:
    """The running turns of all processes that are to be stopped."""
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
