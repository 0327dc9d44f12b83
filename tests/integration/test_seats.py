"""Limits that processes share, kept in the database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from tests.unit.aio import scripted_spec, settings_with
from waldur_chat.models import Seat
from waldur_chat.store.turns import slots
from waldur_chat.testing import Script

pytestmark = pytest.mark.django_db(transaction=True)


def test_seats_are_taken_up_to_the_limit() -> None:
    assert [slots.acquire({"site": 2}, turn, 60) for turn in ("a", "b", "c")] == ["", "", "site"]
    assert sorted(Seat.objects.values_list("number", flat=True)) == [1, 2]


def test_seats_that_were_given_back_are_free() -> None:
    slots.acquire({"site": 1}, "a", 60)
    slots.release("a")
    assert slots.acquire({"site": 1}, "b", 60) == ""


def test_the_seats_of_a_dead_process_expire() -> None:
    slots.acquire({"site": 1}, "a", -1)
    assert slots.acquire({"site": 1}, "b", 60) == ""
    assert Seat.objects.get().turn == "b"


def test_all_scopes_are_taken_or_none() -> None:
    slots.acquire({"site": 1}, "a", 60)
    assert slots.acquire({"user:7": 1, "site": 1}, "b", 60) == "site"
    assert Seat.objects.get().turn == "a"


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    slots.acquire({"site": 9}, "a", 60)
    Seat.objects.update(number=9)
    assert slots.acquire({"site": 1}, "b", 60) == "site"


def test_a_seat_that_another_takes_at_the_same_moment_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def another_comes_first(free: list[int]) -> None:
        free.sort()
        if free[0] == 1:
            Seat.objects.create(scope="site", number=1, turn="another", expires=timezone.now() + timedelta(seconds=60))

    monkeypatch.setattr(slots.random, "shuffle", another_comes_first)
    assert slots.acquire({"site": 2}, "a", 60) == ""
    assert {seat.number: seat.turn for seat in Seat.objects.all()} == {1: "another", 2: "a"}


def test_many_at_once_never_overshoot() -> None:
    def take(number: int) -> str:
        try:
            return slots.acquire({"site": 5}, str(number), 60)
        except DatabaseError as error:  # SQLite in memory has no patience.
            return type(error).__name__
        finally:
            BaseDatabaseWrapper.close(connections["default"])  # The one of SQLite keeps what is in memory open.

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(take, range(40)))
    assert found.count("") == Seat.objects.count() <= 5


def test_a_str_names_the_seat() -> None:
    assert str(Seat(scope="site", number=3)) == "site, 3"


@pytest.mark.parametrize(
    ("user_id", "settings", "scopes"),
    [
        ("7", {}, {}),
        ("7", {"turns_per_user": 2}, {"user:7": 2}),
        ("", {"turns_per_user": 2}, {}),
        ("7", {"turns_per_user": 2, "turns_per_site": 9}, {"user:7": 2, "site": 9}),
    ],
)
def test_only_what_is_limited_is_counted(user_id: str, settings: dict[str, Any], scopes: dict[str, int]) -> None:
    assert slots.slot_limits(settings_with(scripted_spec(Script(steps=[])), **settings), user_id) == scopes
