"""A turn whose process renews its lease is alive, whatever the clocks of processes say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.integration.rest import Person
from tests.integration.stored import thread_of, turn_in
from waldur_chat.models import Turn
from waldur_chat.store.turns import leases
from waldur_chat.store.turns.leases import LeaseUpdate
from waldur_chat.turns.heartbeat import RENEW_SECONDS
from waldur_chat.turns.reaper import LeaseObserver, Reaper

now = timezone.now
STEPS = (2, -2, 8, -8, 3600, -3600)


@pytest.fixture
def turn(alice: Person) -> Turn:
    """A turn of another process."""
    return turn_in(thread_of(alice.user))


def renew(turn: Turn) -> None:
    leases.renew({turn.uuid.hex: LeaseUpdate()})


def longest_unchanged(turn: Turn, renewing: Callable[[int], None]) -> float:
    """For how long at most the lease stays the same for a process that looks after each of many renewals."""
    observer, longest = LeaseObserver(), 0.0
    for number in range(20):
        renewing(number)
        observer.note(leases.of_running_turns(), number * RENEW_SECONDS, number * RENEW_SECONDS)
        lease = leases.lease_of(turn.uuid.hex)
        assert lease
        longest = max(longest, observer.unchanged_seconds(lease))
    return longest


@pytest.mark.parametrize("step", STEPS)
def test_a_clock_that_steps_back_and_forth_renews(turn: Turn, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def renewing(number: int) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=step * (number % 3)))
        renew(turn)

    assert longest_unchanged(turn, renewing) < leases.UNCHANGED_SECONDS / 2


def test_a_clock_that_stands_still_renews(turn: Turn, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = datetime(2030, 1, 1, tzinfo=timezone.get_default_timezone())
    monkeypatch.setattr(timezone, "now", lambda: stopped)
    assert longest_unchanged(turn, lambda number: renew(turn)) < leases.UNCHANGED_SECONDS / 2


@pytest.mark.parametrize("step", [0, *STEPS])
def test_a_lease_that_is_not_renewed_stays_the_same_whatever_the_clock_says(
    turn: Turn, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stepping(number: int) -> None:
        monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=step * number))

    assert longest_unchanged(turn, stepping) == 19 * RENEW_SECONDS


def test_the_leases_of_many_turns_are_as_many_as_their_processes(alice: Person, django_assert_num_queries: Any) -> None:
    for _ in range(2):
        turns = [turn_in(thread_of(alice.user)) for _ in range(5)]
        leases.renew({turn.uuid.hex: LeaseUpdate() for turn in turns})
    turn_in(None, ended=timezone.now())
    with django_assert_num_queries(1):
        assert len(leases.of_running_turns()) == 2


def test_of_a_turn_that_has_ended_nothing_is_waited_for(turn: Turn) -> None:
    assert Reaper().retry_after(turn.uuid.hex)
    Turn.objects.filter(pk=turn.pk).update(status="finished")
    assert Reaper().retry_after(turn.uuid.hex) is None
