"""When the client comes back, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from waldur_chat.client.errors import ChatError, Unreachable
from waldur_chat.client.retry import LONGEST_PAUSE_SECONDS, Patience

ERROR = Unreachable("It broke.")


class Clock:
    """A clock that stands still unless it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def no_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    shortest: Callable[[float, float], float] = lambda low, high: low  # noqa: E731
    monkeypatch.setattr("random.uniform", shortest)


def test_pauses_grow_to_a_limit(clock: Clock) -> None:
    patience = Patience(1000, clock)
    assert [patience.pause(ERROR) for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, LONGEST_PAUSE_SECONDS, 15.0]


def test_a_thousand_failures_are_none_too_many(clock: Clock) -> None:
    patience = Patience(1e9, clock)
    assert [patience.pause(ERROR) for _ in range(2000)][-1] == LONGEST_PAUSE_SECONDS


def test_news_make_them_short_again(clock: Clock) -> None:
    patience = Patience(60, clock)
    patience.pause(ERROR)
    patience.pause(ERROR)
    patience.renew()
    assert patience.pause(ERROR) == 0.5


@pytest.mark.parametrize(("retry", "pause"), [(None, 0.5), (3000, 3.0), (0, 0.1), (10**9, LONGEST_PAUSE_SECONDS)])
def test_the_server_says_how_long_the_first_is(clock: Clock, retry: int | None, pause: float) -> None:
    patience = Patience(60, clock)
    patience.heed(retry)
    assert patience.pause(ERROR) == pause


def test_no_pause_is_shorter_than_an_error_asks_for(clock: Clock) -> None:
    assert Patience(60, clock).pause(ChatError("Busy.", retry_after=20.0)) == 20.0


def test_it_gives_up_when_the_next_try_would_be_too_late(clock: Clock) -> None:
    patience = Patience(10, clock)
    patience.pause(ERROR)
    clock.now += 8
    patience.pause(ERROR)
    clock.now += 1
    with pytest.raises(Unreachable):
        patience.pause(ERROR)


def test_time_in_which_nothing_fails_does_not_count(clock: Clock) -> None:
    patience = Patience(10, clock)
    clock.now += 100
    assert patience.pause(ERROR) == 0.5
