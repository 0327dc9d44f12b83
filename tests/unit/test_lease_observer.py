"""Leases that stay the same are noticed by the monotonic clock of who looks, and by nothing else."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone

import pytest
from django.utils import timezone as django_timezone

from waldur_chat.store.turns import leases
from waldur_chat.turns.reaper import LONGEST_GAP_SECONDS, LeaseObserver

DEAD, OTHER = datetime(2030, 1, 1, tzinfo=timezone.utc), datetime(2000, 1, 1, tzinfo=timezone.utc)


def looks(observer: LeaseObserver, *times: float, found: tuple[datetime, ...] = (DEAD,)) -> None:
    """Look at these times; each look takes no time."""
    for time in times:
        observer.note(found, time, time)


def test_a_lease_counts_from_the_first_look_on() -> None:
    observer = LeaseObserver()
    looks(observer, 100.0)
    assert (observer.unchanged_seconds(DEAD), observer.unchanged(0.1)) == (0.0, [])
    looks(observer, 101.0, 102.5)
    assert observer.unchanged_seconds(DEAD) == 2.5
    assert (observer.unchanged(2.5), observer.unchanged(2.6)) == ([DEAD], [])


def test_a_lease_that_changes_is_another_one_whether_its_time_is_later_or_earlier() -> None:
    observer = LeaseObserver()
    for second in range(20):
        step = timedelta(hours=1 if second % 2 else -1, seconds=second)
        looks(observer, float(second), found=(DEAD, OTHER + step))
    assert observer.unchanged(1.0) == [DEAD]


def test_a_lease_that_was_away_counts_anew() -> None:
    observer = LeaseObserver()
    looks(observer, 0.0, 1.0, 2.0)
    looks(observer, 3.0, found=())
    looks(observer, 4.0, 5.0)
    assert observer.unchanged_seconds(DEAD) == 1.0


def test_of_the_time_between_two_looks_little_counts_if_the_second_was_late() -> None:
    observer = LeaseObserver()
    looks(observer, 0.0, 1.0, 3600.0)
    assert observer.unchanged_seconds(DEAD) == 1.0 + LONGEST_GAP_SECONDS


def test_the_time_that_a_look_takes_does_not_count() -> None:
    observer = LeaseObserver()
    for began in (0.0, 1.0, 2.0):
        observer.note([DEAD], began, began + 0.75)
    assert observer.unchanged_seconds(DEAD) == 0.5


def test_a_look_that_began_before_another_ended_says_nothing() -> None:
    observer = LeaseObserver()
    looks(observer, 0.0, 1.0)
    observer.note([], 0.5, 3.0)
    assert (observer.unchanged_seconds(DEAD), observer.looked_at) == (1.0, 1.0)


@pytest.mark.parametrize("seconds", [0.0, -0.000001])
def test_leases_differ_although_the_clock_stands_still_or_steps_back(
    monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    times = [DEAD + timedelta(seconds=seconds) * number for number in range(100)]
    monkeypatch.setattr(django_timezone, "now", lambda: times.pop())
    found = []
    for _ in range(100):
        random.seed(1)  # Sites and tests do that.
        found.append(leases.new_lease())
    assert len(set(found)) > 90
