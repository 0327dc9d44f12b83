"""When the client retries, and when it gives up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from waldur_chat.client.errors import ChatError, Unreachable
from waldur_chat.client.retry import MAX_DELAY_SECONDS, Backoff

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
    backoff = Backoff(1000, clock)
    assert [backoff.next_delay(ERROR) for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 8.0, MAX_DELAY_SECONDS, 15.0]


def test_a_thousand_failures_are_none_too_many(clock: Clock) -> None:
    backoff = Backoff(1e9, clock)
    assert [backoff.next_delay(ERROR) for _ in range(2000)][-1] == MAX_DELAY_SECONDS


def test_news_make_them_short_again(clock: Clock) -> None:
    backoff = Backoff(60, clock)
    backoff.next_delay(ERROR)
    backoff.next_delay(ERROR)
    backoff.reset()
    assert backoff.next_delay(ERROR) == 0.5


@pytest.mark.parametrize(("retry", "pause"), [(None, 0.5), (3000, 3.0), (0, 0.1), (10**9, MAX_DELAY_SECONDS)])
def test_the_server_says_how_long_the_first_is(clock: Clock, retry: int | None, pause: float) -> None:
    backoff = Backoff(60, clock)
    backoff.set_server_delay(retry)
    assert backoff.next_delay(ERROR) == pause


def test_no_pause_is_shorter_than_an_error_asks_for(clock: Clock) -> None:
    assert Backoff(60, clock).next_delay(ChatError("Busy.", retry_after=20.0)) == 20.0


def test_it_gives_up_when_the_next_try_would_be_too_late(clock: Clock) -> None:
    backoff = Backoff(10, clock)
    backoff.next_delay(ERROR)
    clock.now += 8
    backoff.next_delay(ERROR)
    clock.now += 1
    with pytest.raises(Unreachable):
        backoff.next_delay(ERROR)


def test_time_in_which_nothing_fails_does_not_count(clock: Clock) -> None:
    backoff = Backoff(10, clock)
    clock.now += 100
    assert backoff.next_delay(ERROR) == 0.5
