"""Accounts of tokens: limits, what is held, what is charged, and the ledger."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from tests.integration import stored
from tests.integration.asked import begin, end
from tests.integration.rest import Person
from waldur_chat import conf
from waldur_chat.errors import BudgetConflict, BudgetExhausted
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage
from waldur_chat.store import sql
from waldur_chat.store.budgets import accounts, reservations
from waldur_chat.store.budgets.periods import first_days
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.turns import finish

pytestmark = [pytest.mark.core, pytest.mark.django_db]
PERIODS = ("daily", "weekly", "monthly")
BEGINS = {"daily": "day", "weekly": "week", "monthly": "month"}


def reserve(user: Any, tokens: int) -> None:
    settings = conf.load()
    reservations.reserve(tokens, tokens, accounts.limited_accounts(user, settings), settings)


def refused(user: Any, tokens: int) -> BudgetExhausted:
    with pytest.raises(BudgetExhausted) as refusal:
        reserve(user, tokens)
    return refusal.value


def charge(user: Any, tokens: int, model: str = "m", **more: int) -> None:
    usage = Usage(input_tokens=tokens, output_tokens=0)
    stored.charge(user, model, usage, **more)


def account(user: Any, **fields: Any) -> Budget:
    """The account of a user, whose periods begin as said, or now."""
    now = first_days(timezone.now())
    begun = {"day": now.day, "week": now.week, "month": now.month}
    return Budget.objects.create(user=user, **{**begun, **fields})


def used(user: Any) -> dict[str, int]:
    return accounts.used_in(Budget.objects.get(user=user), timezone.now())


@pytest.mark.parametrize("scope", ["user", "site"])
@pytest.mark.parametrize("period", PERIODS)
def test_each_limit_refuses_in_its_own_name(alice: Person, settings: Any, scope: str, period: str) -> None:
    settings.WALDUR_CHAT = {f"{scope}_tokens_{period}".upper(): 10}
    reserve(alice.user, 10)
    error = refused(alice.user, 1)
    assert (error.scope, error.period, error.limit) == (scope, period, 10)


@pytest.mark.parametrize("period", PERIODS)
def test_what_a_period_has_used_up_comes_back_with_the_next(alice: Person, settings: Any, period: str) -> None:
    settings.WALDUR_CHAT = {f"USER_TOKENS_{period.upper()}": 10}
    account(alice.user, **{f"{period}_tokens": 10})
    wait = refused(alice.user, 1).retry_after
    days = {"daily": 1, "weekly": 7, "monthly": 31}[period]
    assert wait
    assert 0 < wait <= days * 86_400 + 3600


def test_what_running_turns_hold_may_come_back_soon(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    reserve(alice.user, 10)
    assert refused(alice.user, 5).retry_after == reservations.RETRY_SECONDS


def test_a_crowd_is_refused_without_a_write(alice: Person, settings: Any, django_assert_num_queries: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    limited = accounts.limited_accounts(alice.user, conf.load())
    with django_assert_num_queries(0), pytest.raises(BudgetExhausted):
        reservations.check_available(11, limited, conf.load())


def test_the_site_may_answer_with_a_conflict(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 0, "BUDGET_STATUS": 409}
    assert isinstance(refused(alice.user, 1), BudgetConflict)


def test_nothing_is_limited_by_default(alice: Person) -> None:
    assert accounts.limited_accounts(alice.user, conf.load()) == []


def test_a_limit_of_its_own_stands_before_the_sites(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    account(alice.user, daily_limit=20)
    reserve(alice.user, 20)
    assert refused(alice.user, 1).limit == 20


def test_an_account_may_have_no_limit(alice: Person, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    account(alice.user, daily_limit=-1)
    assert accounts.limited_accounts(alice.user, conf.load()) == []


def test_an_account_may_have_nothing(alice: Person) -> None:
    account(alice.user, monthly_limit=0)
    assert (refused(alice.user, 1).period, refused(alice.user, 1).limit) == ("monthly", 0)


def test_the_sites_account_may_have_a_limit_of_its_own(alice: Person) -> None:
    Budget.objects.create(is_site=True, weekly_limit=5)
    assert (refused(alice.user, 6).scope, refused(alice.user, 6).period) == ("site", "weekly")


@pytest.mark.parametrize("status", ["finished", "failed", "cancelled", "interrupted"])
@pytest.mark.parametrize("text", ["", "Some words"])
def test_what_was_held_is_given_back_whatever_the_end(alice: Person, settings: Any, status: str, text: str) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 1000, "SITE_TOKENS_DAILY": 1000}
    begun = begin(alice.user, promise=Reservation(output_tokens=50))
    assert set(Budget.objects.values_list("reserved", flat=True)) == {32 + 16 + 5}
    end(begun, text, status, usage=finish.NO_USAGE)
    assert set(Budget.objects.values_list("reserved", flat=True)) == {0}


def test_more_than_was_held_is_never_given_back(alice: Person) -> None:
    account(alice.user, reserved=5)
    charge(alice.user, 1, reserved=10)
    assert Budget.objects.get(user=alice.user).reserved == 0


def test_a_charge_counts_in_all_periods_and_for_the_site(alice: Person) -> None:
    charge(alice.user, 5)
    charge(alice.user, 6)
    assert used(alice.user) == dict.fromkeys(PERIODS, 11)
    assert Budget.objects.get(is_site=True).monthly_tokens == 11


@pytest.mark.parametrize("period", PERIODS)
def test_a_new_period_begins_at_nothing(alice: Person, period: str) -> None:
    row = account(alice.user, **{f"{each}_tokens": 50 for each in PERIODS})
    Budget.objects.filter(pk=row.pk).update(**{BEGINS[period]: date(2020, 1, 1)})
    assert used(alice.user) == {**dict.fromkeys(PERIODS, 50), period: 0}
    charge(alice.user, 5)
    assert used(alice.user) == {**dict.fromkeys(PERIODS, 55), period: 5}


def test_a_process_whose_clock_is_behind_counts_into_the_newer_period(alice: Person) -> None:
    tomorrow = first_days(timezone.now()).day + timedelta(days=1)
    account(alice.user, day=tomorrow, daily_tokens=50)
    charge(alice.user, 5)
    row = Budget.objects.get(user=alice.user)
    assert (row.day, row.daily_tokens, used(alice.user)["daily"]) == (tomorrow, 55, 55)


def test_the_ledger_has_a_line_for_each_user_and_model(alice: Person, bob: Person) -> None:
    for user, model in ((alice.user, "a"), (alice.user, "a"), (alice.user, "b"), (bob.user, "a")):
        charge(user, 5, model)
    lines = DayOfUsage.objects.order_by("id").values_list("user__username", "model", "turns", "input_tokens")
    assert list(lines) == [("alice", "a", 2, 10), ("alice", "b", 1, 5), ("bob", "a", 1, 5)]


def test_the_ledger_has_a_line_for_each_day(alice: Person) -> None:
    yesterday = first_days(timezone.now()).day - timedelta(days=1)
    DayOfUsage.objects.create(day=yesterday, user=alice.user, model="m", turns=1)
    charge(alice.user, 5)
    assert sorted(DayOfUsage.objects.values_list("turns", "input_tokens")) == [(1, 0), (1, 5)]


def test_two_turns_that_make_the_same_line_are_both_counted(alice: Person) -> None:
    """The other one makes it when this one has just looked."""
    usage = Usage(input_tokens=6, output_tokens=0)
    used = accounts.charge_statements(
        [accounts.Charge(user_id=alice.user.pk, model="m", usage=usage, turns=1, reserved=0)]
    )
    charge(alice.user, 5)
    sql.execute_many(used)
    line = DayOfUsage.objects.get()
    assert (line.turns, line.input_tokens) == (2, 11)
    assert Budget.objects.get(user=alice.user).daily_tokens == 11


def test_what_a_deleted_user_used_counts_for_the_site(db: None) -> None:
    charge(None, 5)
    assert (Budget.objects.get().is_site, DayOfUsage.objects.get().user) == (True, None)


def test_what_used_nothing_is_not_in_the_ledger(alice: Person) -> None:
    charge(alice.user, 0, reserved=5)
    assert DayOfUsage.objects.count() == 0


def test_the_ledger_stays_when_the_user_goes(alice: Person) -> None:
    charge(alice.user, 5)
    get_user_model().objects.all().delete()
    assert DayOfUsage.objects.get().input_tokens == 5
