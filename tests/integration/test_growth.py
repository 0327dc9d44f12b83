"""Reservations of running turns grow and shrink, and accounts hold exactly what the turns have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.asked import begin, end, row_of
from tests.integration.rest import Person
from waldur_chat import conf
from waldur_chat.models import Budget, Turn
from waldur_chat.store import locks
from waldur_chat.store.budgets import growth
from waldur_chat.store.budgets.growth import Resize, Resized
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.turns import finish

pytestmark = [pytest.mark.core, pytest.mark.django_db]
LIMITS = {"USER_TOKENS_DAILY": 1000, "SITE_TOKENS_DAILY": 1500}
PLENTY = Reservation(output_tokens=5000)
BOTH = ("user", "site")


@pytest.fixture(autouse=True)
def limited(settings: Any) -> None:
    """Users and the site have limits."""
    settings.WALDUR_CHAT = LIMITS


def running(user: Any) -> Turn:
    """A turn that has 53 tokens reserved."""
    row = row_of(begin(user, promise=PLENTY))
    assert row.reserved == 53
    return row


def resize(*wanted: tuple[Turn, int], scopes: tuple[str, ...] = BOTH) -> list[Resized | None]:
    """The reservations of turns that want so many tokens."""
    found = growth.resize(
        [Resize(turn=row.uuid.hex, tokens=tokens, scopes=scopes) for row, tokens in wanted], conf.load()
    )
    return [found.get(row.uuid.hex) for row, _ in wanted]


def held() -> list[int]:
    """What the accounts hold: those of users, then that of the site. It must be what the turns have."""
    users = list(Budget.objects.filter(is_site=None).order_by("user").values_list("reserved", flat=True))
    site = Budget.objects.get(is_site=True).reserved
    assert sum(Turn.objects.values_list("reserved", flat=True)) == site
    return [*users, site]


@pytest.mark.parametrize("tokens", [500, 20])
def test_a_reservation_becomes_what_is_wanted(alice: Person, tokens: int) -> None:
    row = running(alice.user)
    assert resize((row, tokens)) == [Resized(tokens=tokens, is_last=False)]
    row.refresh_from_db()
    assert (row.reserved, held()) == (tokens, [tokens, tokens])


def test_several_turns_are_adjusted_at_once(alice: Person, bob: Person) -> None:
    rows = [running(alice.user), running(bob.user), running(bob.user)]
    assert resize(*zip(rows, (100, 200, 300), strict=True)) == [
        Resized(tokens=tokens, is_last=False) for tokens in (100, 200, 300)
    ]
    assert held() == [100, 500, 600]


def test_what_one_gives_back_another_may_take(alice: Person) -> None:
    one, other = running(alice.user), running(alice.user)
    resize((one, 900))
    assert resize((other, 900), (one, 100)) == [Resized(tokens=900, is_last=False), Resized(tokens=100, is_last=False)]


def test_alone_it_gets_all_that_is_left_and_no_more(alice: Person) -> None:
    row = running(alice.user)
    assert resize((row, 2000)) == [Resized(tokens=1000, is_last=True)]


def test_what_another_turn_holds_may_come_back(alice: Person) -> None:
    one, other = running(alice.user), running(alice.user)
    assert resize((one, 947)) == [Resized(tokens=947, is_last=False)]
    assert resize((other, 100)) == [Resized(tokens=53, is_last=False)]


def test_the_tighter_account_decides(alice: Person, bob: Person) -> None:
    one, other = running(alice.user), running(bob.user)
    assert resize((one, 1000)) == [Resized(tokens=1000, is_last=False)]
    assert resize((other, 1000)) == [Resized(tokens=500, is_last=False)]


def test_only_the_accounts_that_limited_it_hold_more(alice: Person) -> None:
    row = running(alice.user)
    resize((row, 100), scopes=("site",))
    assert held() == [53, 100]


def test_a_limit_that_is_lifted_limits_no_more(alice: Person, settings: Any) -> None:
    row = running(alice.user)
    settings.WALDUR_CHAT = {}
    assert resize((row, 5000)) == [Resized(tokens=5000, is_last=False)]


def test_a_turn_that_has_ended_gets_nothing(alice: Person) -> None:
    begun = begin(alice.user, promise=PLENTY)
    end(begun)
    assert resize((row_of(begun), 500)) == [None]
    assert held() == [0, 0]


def test_all_that_was_reserved_is_released(alice: Person) -> None:
    begun = begin(alice.user, promise=PLENTY)
    resize((row_of(begun), 500))
    end(begun)
    assert held() == [0, 0]


def test_a_reservation_that_grows_while_its_turn_ends_is_released(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, read, looks = begin(alice.user, promise=PLENTY), locks.lock_turns, []

    def growing(turns: Any) -> Any:
        found = read(turns)
        looks.append(resize((row_of(begun), 500)) if not looks else None)
        return found

    monkeypatch.setattr(locks, "lock_turns", growing)
    assert finish.finish_turn(begun.turn, finish.TurnOutcome(status="finished", text="Hi"))
    assert (len(looks), held()) == (2, [0, 0])
