"""Turns wait for the slots that processes share, and hold them while they run."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from django.db import InterfaceError
from django.utils import timezone

from tests.unit.aio import everything, run, scripted_spec, settings_with, unrecorded
from waldur_chat import chat
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ChatBusy, ChatError, TooManyTurns
from waldur_chat.events import Cancelled, Event, Failed, Finished
from waldur_chat.models import Seat
from waldur_chat.record import Caller
from waldur_chat.store.turns import slots as stored
from waldur_chat.testing import Script, Step, scripted
from waldur_chat.turns import slots

pytestmark = pytest.mark.django_db(transaction=True)


def begin(*steps: Step, user_id: str = "7", **settings: Any) -> Turn:
    """A turn of a user, which has begun on the running loop, with its seats."""
    script = scripted_spec(Script(steps=steps))
    turn = unrecorded(settings_with(script, **settings), Caller(user_id=user_id))
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


def test_a_turn_has_its_seats_while_it_runs() -> None:
    async def main() -> None:
        turn = begin("a", 0.1, turns_per_user=1, turns_per_site=9)
        await turn.first()
        assert await slots._worker.submit(_seats) == [("site", turn.id), ("user:7", turn.id)]
        assert isinstance((await everything(turn))[-1], Finished)
        assert await slots._worker.submit(_seats) == []

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
        await slots._worker.submit(stored.release, "another")
        assert isinstance((await everything(turn))[-1], Finished)

    run(main())


def test_a_user_whose_seats_are_taken_while_he_waits_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(["site", "user:7"])

    async def main() -> None:
        assert type(error_of(await everything(begin("a", turns_per_site=1, turns_per_user=1)))) is TooManyTurns

    monkeypatch.setattr(stored, "acquire", lambda *args: next(found))
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
        assert await slots._worker.submit(_seats) == []

    run(main())


def test_a_database_that_fails_limits_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        assert isinstance((await everything(begin("a", turns_per_user=1)))[-1], Finished)

    monkeypatch.setattr(stored, "acquire", _fails)
    monkeypatch.setattr(stored, "release", _fails)
    run(main())
    assert [one.getMessage() for one in caplog.records if one.name == "waldur_chat.lifecycle"] == [
        "Turns are not counted over processes, since the database fails: InterfaceError",
        "A slot is kept until it expires, since the database fails: InterfaceError",
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
