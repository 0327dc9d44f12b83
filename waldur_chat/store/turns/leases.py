"""Leases of running turns, which their processes renew, and cancellation requests to any process.

A lease is a value, not a time: its process replaces it again and again, and others only compare it with what they have
read before. A turn is dead when another process sees its lease unchanged for too long, by the monotonic clock of that
process. So a wall clock that steps in any process ends no turn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import SystemRandom
from uuid import UUID

from django.utils import timezone

from waldur_chat.events import Usage
from waldur_chat.models import Thread, Turn
from waldur_chat.store import sql

LEASE_SECONDS = 6.0
"""How far leases lie in the future: during a deployment, earlier versions compare them with the clock."""

UNCHANGED_SECONDS = 8.0
"""How long the lease of a living turn may stay the same."""

UNCHANGED_SECONDS_ON_SQLITE = 20.0
"""The same on SQLite, where a renewal waits for all other writers."""

# pytest and hosts seed the global generator, which would then repeat its numbers.
_random = SystemRandom()


def new_lease() -> datetime:
    """A value that no lease has had before, with certainty enough, also if the clock stands still or steps back."""
    return timezone.now() + timedelta(seconds=LEASE_SECONDS, microseconds=_random.randrange(1_000_000))


def unchanged_seconds() -> float:
    """How long the lease of a living turn may stay the same in this database."""
    return UNCHANGED_SECONDS_ON_SQLITE if sql.database().vendor == "sqlite" else UNCHANGED_SECONDS


def of_running_turns() -> set[datetime]:
    """The leases of all running turns of all processes. A process renews those of its turns to the same value."""
    running = Turn.objects.filter(status=Turn.Status.RUNNING)
    return set(running.values_list("expires", flat=True).distinct())


def lease_of(turn: str) -> datetime | None:
    """The lease of a turn, by id; None if it does not run any more."""
    running = Turn.objects.filter(uuid=UUID(turn), status=Turn.Status.RUNNING)
    lease: datetime | None = running.values_list("expires", flat=True).first()
    return lease


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseUpdate:
    """What a process knows about its running turn.

    `model` is empty if it is not known yet; `usage` is None if it can be estimated from the partial output.
    """

    model: str = ""
    usage: Usage | None = None


def renew(updates: Mapping[str, LeaseUpdate]) -> None:
    """Renew the leases of these turns, by id, and store the usage that the reaper would charge for them."""
    by_model = defaultdict(list)
    for turn, update in updates.items():
        by_model[update.model].append(UUID(turn))
    running = Turn.objects.filter(status=Turn.Status.RUNNING)
    # One update for each model, usually one for all turns of the process.
    for model, uuids in by_model.items():
        known_model = {"model": model[:200]} if model else {}
        running.filter(uuid__in=uuids).update(expires=new_lease(), **known_model)
    usages = {UUID(turn): update.usage for turn, update in updates.items() if update.usage}
    reported = running.filter(uuid__in=usages).only("uuid") if usages else ()
    changed = [_with_usage(turn, usages[turn.uuid]) for turn in reported]
    running.bulk_update(changed, ["input_tokens", "output_tokens"], batch_size=200)


def cancelled_turns() -> list[str]:
    """Ids of the running turns of all processes whose cancellation was requested."""
    uuids = Turn.objects.filter(status=Turn.Status.RUNNING, is_cancelled=True).values_list("uuid", flat=True)
    return [turn.hex for turn in uuids]


def request_cancel(thread: Thread) -> list[str]:
    """Request the cancellation of a conversation's running turns; return their ids."""
    running = Turn.objects.filter(thread=thread, status=Turn.Status.RUNNING)
    turns = [turn.hex for turn in running.values_list("uuid", flat=True)]
    if turns:
        running.update(is_cancelled=True)
    return turns


def request_turn_cancel(turn: str) -> None:
    """Request the cancellation of one turn."""
    Turn.objects.filter(uuid=UUID(turn)).update(is_cancelled=True)


def _with_usage(turn: Turn, usage: Usage) -> Turn:
    turn.input_tokens, turn.output_tokens = usage.input_tokens, usage.output_tokens
    return turn
