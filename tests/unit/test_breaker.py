"""A circuit breaker: closed, open, and half open."""

from __future__ import annotations

import asyncio

import pytest

from waldur_chat.conf import Settings
from waldur_chat.engine.breaker import Breaker
from waldur_chat.errors import (
    ChatNotConfigured,
    ProviderBusy,
    ProviderFailed,
    ProviderRefused,
    ProviderSilent,
    ProviderTooSlow,
    ProviderUnavailable,
    ProviderUnreachable,
)

SETTINGS = Settings(breaker_failures=3, breaker_seconds=30)


class Clock:
    """A clock that stands still until it is told otherwise."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def attempt(breaker: Breaker, error: BaseException | None) -> None:
    breaker.leave(SETTINGS, error, is_probe=breaker.enter(SETTINGS))


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    for _ in range(3):
        attempt(breaker, ProviderFailed())
    return breaker


@pytest.mark.parametrize(
    "error", [ProviderFailed(), ProviderUnreachable(), ProviderTooSlow(), ProviderSilent(), ZeroDivisionError()]
)
def test_failures_in_a_row_open_it(error: Exception) -> None:
    breaker = Breaker(Clock())
    for _ in range(3):
        attempt(breaker, error)
    with pytest.raises(ProviderUnavailable) as refused:
        breaker.enter(SETTINGS)
    assert refused.value.retry_after == 30


@pytest.mark.parametrize("sign_of_life", [None, ProviderBusy(), ProviderRefused()])
def test_a_sign_of_life_between_failures_keeps_it_closed(sign_of_life: Exception | None) -> None:
    breaker = Breaker(Clock())
    for error in (ProviderFailed(), ProviderFailed(), sign_of_life, ProviderFailed(), ProviderFailed()):
        attempt(breaker, error)
    breaker.enter(SETTINGS)


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ChatNotConfigured(), GeneratorExit()])
def test_what_is_not_the_providers_fault_does_not_count(error: BaseException) -> None:
    breaker = Breaker(Clock())
    for _ in range(9):
        attempt(breaker, error)
    breaker.enter(SETTINGS)


def test_after_its_time_one_attempt_is_let_through() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    breaker.enter(SETTINGS)
    with pytest.raises(ProviderUnavailable) as refused:
        breaker.enter(SETTINGS)
    assert refused.value.retry_after == 1


def test_a_probe_that_succeeds_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    attempt(breaker, None)
    breaker.enter(SETTINGS)
    breaker.enter(SETTINGS)


def test_a_probe_that_fails_opens_it_for_as_long_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    attempt(breaker, ProviderUnreachable())
    clock.now += 29
    with pytest.raises(ProviderUnavailable):
        breaker.enter(SETTINGS)
    clock.now += 1
    breaker.enter(SETTINGS)


def test_a_probe_that_was_stopped_leaves_the_next_one_to_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 30
    attempt(breaker, asyncio.CancelledError())
    breaker.enter(SETTINGS)


def test_who_began_before_it_opened_neither_opens_it_longer_nor_ends_the_probe() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 29
    breaker.leave(SETTINGS, ProviderFailed(), is_probe=False)
    clock.now += 1
    assert breaker.enter(SETTINGS)
    breaker.leave(SETTINGS, asyncio.CancelledError(), is_probe=False)
    with pytest.raises(ProviderUnavailable):
        breaker.enter(SETTINGS)
