"""Limits that processes share, kept in the database."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from tests.unit.aio import PROMPT, everything, run, scripted_spec, settings_with
from waldur_chat import chat
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ChatBusy, ChatError, TooManyTurns
from waldur_chat.events import Cancelled, Event, Failed, Finished
from waldur_chat.models import Seat
from waldur_chat.record import Caller
from waldur_chat.store.turns import slots
from waldur_chat.testing import Script, Step, scripted

pytestmark = [pytest.mark.core, pytest.mark.django_db(transaction=True)]


def begin(*steps: Step, user_id: str = "7", **settings: Any) -> Turn:
    """A turn of a user, which has begun on the running loop, with its seats."""
    script = scripted_spec(Script(steps=steps))
    turn = Turn(settings_with(script, **settings), PROMPT, Caller(user_id=user_id), slots.held)
    turn.start(asyncio.get_running_loop())
    return turn


def error_of(events: list[Event]) -> ChatError:
    assert isinstance(events[-1], Failed)
    return events[-1].error


def taken(user_id: str) -> None:
    """A turn of another process has the first seat of the user, and that of the site."""
    expires = timezone.now() + timedelta(seconds=60)
    for scope in (f"user:{user_id}", "site"):
        Seat.objects.create(scope=scope, number=1, turn="another", expires=expires)


def test_seats_are_taken_up_to_the_limit() -> None:
    assert [slots.take({"site": 2}, turn, 60) for turn in ("a", "b", "c")] == ["", "", "site"]
    assert sorted(Seat.objects.values_list("number", flat=True)) == [1, 2]


def test_seats_that_were_given_back_are_free() -> None:
    slots.take({"site": 1}, "a", 60)
    slots.give_back("a")
    assert slots.take({"site": 1}, "b", 60) == ""


def test_the_seats_of_a_dead_process_expire() -> None:
    slots.take({"site": 1}, "a", -1)
    assert slots.take({"site": 1}, "b", 60) == ""
    assert Seat.objects.get().turn == "b"


def test_all_scopes_are_taken_or_none() -> None:
    slots.take({"site": 1}, "a", 60)
    assert slots.take({"user:7": 1, "site": 1}, "b", 60) == "site"
    assert Seat.objects.get().turn == "a"


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    slots.take({"site": 9}, "a", 60)
    Seat.objects.update(number=9)
    assert slots.take({"site": 1}, "b", 60) == "site"


def test_a_seat_that_another_takes_at_the_same_moment_is_not_taken_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def another_comes_first(free: list[int]) -> None:
        free.sort()
        if free[0] == 1:
            Seat.objects.create(scope="site", number=1, turn="another", expires=timezone.now() + timedelta(seconds=60))

    monkeypatch.setattr(slots.random, "shuffle", another_comes_first)
    assert slots.take({"site": 2}, "a", 60) == ""
    assert {seat.number: seat.turn for seat in Seat.objects.all()} == {1: "another", 2: "a"}


def test_many_at_once_never_overshoot() -> None:
    def take(number: int) -> str:
        try:
            return slots.take({"site": 5}, str(number), 60)
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
    assert slots.limits(settings_with(scripted_spec(Script(steps=[])), **settings), user_id) == scopes


def test_a_turn_has_its_seats_while_it_runs() -> None:
    async def main() -> None:
        turn = begin("a", 60, turns_per_user=1, turns_per_site=9)
        await turn.first()
        assert await slots._worker.do(_seats) == [("site", turn.id), ("user:7", turn.id)]
        turn.cancel()
        assert isinstance((await everything(turn))[-1], Cancelled)
        assert await slots._worker.do(_seats) == []

    run(main())


def test_a_user_who_has_enough_turns_elsewhere_is_refused_at_once() -> None:
    taken("7")

    async def main() -> None:
        error = error_of(await everything(begin("a", turns_per_user=1)))
        assert type(error) is TooManyTurns
        assert error.retry_after == 5
        assert isinstance((await everything(begin("a", user_id="8", turns_per_user=1)))[-1], Finished)

    run(main())


def test_a_turn_waits_for_a_seat_of_the_site() -> None:
    taken("7")

    async def main() -> None:
        turn = begin("a", turns_per_site=1)
        assert await turn.take(timeout=0.3) == []
        await slots._worker.do(slots.give_back, "another")
        assert isinstance((await everything(turn))[-1], Finished)

    run(main())


def test_a_user_whose_seats_are_taken_while_he_waits_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(["site", "user:7"])

    async def main() -> None:
        assert type(error_of(await everything(begin("a", turns_per_site=1, turns_per_user=1)))) is TooManyTurns

    monkeypatch.setattr(slots, "take", lambda *args: next(found))
    run(main())


@pytest.mark.parametrize("queue", [{"queue_seconds": 0.1}, {"queue_length": 0}])
def test_a_site_that_is_full_is_busy(queue: dict[str, Any]) -> None:
    taken("7")

    async def main() -> None:
        assert type(error_of(await everything(begin("a", turns_per_site=1, **queue)))) is ChatBusy

    run(main())


def test_who_is_stopped_while_a_seat_is_taken_leaves_none_behind() -> None:
    async def main() -> None:
        turn = begin("a", 30, turns_per_user=1)
        await asyncio.sleep(0)
        turn.cancel()
        assert await everything(turn) == [Cancelled(usage=None)]
        assert await slots._worker.do(_seats) == []

    run(main())


def test_a_database_that_fails_limits_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        assert isinstance((await everything(begin("a", turns_per_user=1)))[-1], Finished)

    monkeypatch.setattr(slots, "take", _fails)
    monkeypatch.setattr(slots, "give_back", _fails)
    run(main())
    assert [one.getMessage() for one in caplog.records if one.name == slots.__name__] == [
        "Turns are not counted over processes, since the database fails: InterfaceError",
        "A seat is kept until it expires, since the database fails: InterfaceError",
    ]


def test_the_python_api_keeps_the_limits_of_the_site(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_SITE": 1, "QUEUE_LENGTH": 0}
    taken("7")
    with scripted("Hello"), pytest.raises(ChatBusy):
        chat.invoke("Hi")


def _seats() -> list[tuple[str, str]]:
    return list(Seat.objects.order_by("scope").values_list("scope", "turn"))


def _fails(*args: object) -> None:
    raise InterfaceError("The connection is closed.")
