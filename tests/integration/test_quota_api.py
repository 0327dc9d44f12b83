"""Quotas over the API: who sees and sets whose, and what they add up to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from tests.integration.stored import client_of
from waldur_chat import users
from waldur_chat.models import Budget
from waldur_chat.store.budgets.periods import first_days, resets

pytestmark = pytest.mark.django_db

USAGE = "/api/chat-quota/usage/"
SET = "/api/chat-quota/set_quota/"
PERIODS = ("daily", "weekly", "monthly")
NAMES = ("limit", "usage", "remaining", "reset_at", "system_default")


@pytest.fixture
def staff(db: None) -> Any:
    """A user of staff."""
    return get_user_model().objects.create_user("staff", is_staff=True)


def test_limits_cannot_be_set_where_the_database_cannot_hold_them(staff: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.features, "supports_partial_indexes", False)
    body = {"user_uuid": users.uuid_of(staff).hex, "daily_limit": 9}
    response = client_of(staff).post(SET, json.dumps(body), content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (409, "chat_not_configured")
    assert not Budget.objects.exists()


@pytest.fixture
def other(db: None) -> Any:
    """Another ordinary user."""
    return get_user_model().objects.create_user("bob")


def usage(asker: Any, user_uuid: object = None) -> Any:
    """The response to a question for a quota."""
    return client_of(asker).get(USAGE, {} if user_uuid is None else {"user_uuid": str(user_uuid)})


def set_quota(asker: Any, user: Any, **limits: Any) -> Any:
    """The response to a wish for limits of a user, or of a UUID."""
    uuid = users.uuid_of(user).hex if hasattr(user, "pk") else user
    body = json.dumps({"user_uuid": uuid, **limits})
    return client_of(asker).generic("POST", SET, body.encode(), "application/json")


def budget(user: Any, **fields: Any) -> Budget:
    """An account whose periods are those of today."""
    now = first_days(timezone.now())
    return Budget.objects.create(user=user, **{"day": now.day, "week": now.week, "month": now.month, **fields})


# What is shown


def test_it_has_the_fields_of_the_contract(user: Any) -> None:
    assert set(usage(user).json()) == {f"{period}_{name}" for period in PERIODS for name in NAMES}


def test_who_never_asked_has_used_nothing_and_nothing_is_written(user: Any) -> None:
    shown = usage(user).json()
    assert [shown[f"daily_{name}"] for name in NAMES if name != "reset_at"] == [None, 0, None, -1]
    assert not Budget.objects.exists()


def test_tokens_of_todays_periods_count(user: Any) -> None:
    budget(user, daily_tokens=1, weekly_tokens=2, monthly_tokens=3)
    shown = usage(user).json()
    assert [shown[f"{period}_usage"] for period in PERIODS] == [1, 2, 3]


def test_tokens_of_earlier_periods_do_not_count(user: Any) -> None:
    past = timezone.localdate() - timedelta(days=40)
    budget(user, day=past, week=past, month=past, daily_tokens=1, weekly_tokens=2, monthly_tokens=3)
    shown = usage(user).json()
    assert [shown[f"{period}_usage"] for period in PERIODS] == [0, 0, 0]


@pytest.mark.parametrize(
    ("limit", "default", "remaining"),
    [
        (None, -1, None),
        (None, 100, 60),
        (None, 30, 0),
        (-1, 100, None),
        (0, 100, 0),
        (50, 100, 10),
        (50, -1, 10),
    ],
)
def test_what_remains_is_neither_used_nor_held(
    user: Any, settings: Any, limit: int | None, default: int, remaining: int | None
) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_WEEKLY": default}
    budget(user, weekly_limit=limit, weekly_tokens=30, reserved=10)
    shown = usage(user).json()
    expected = (limit, remaining, default)
    assert (shown["weekly_limit"], shown["weekly_remaining"], shown["weekly_system_default"]) == expected


def test_the_next_periods_are_named(user: Any) -> None:
    shown, ends = usage(user).json(), resets(timezone.now())
    assert [parse_datetime(shown[f"{period}_reset_at"]) for period in PERIODS] == [
        ends.daily, ends.weekly, ends.monthly,
    ]  # fmt: skip


def test_a_host_without_time_zones_has_naive_times(user: Any, settings: Any) -> None:
    settings.USE_TZ = False
    assert parse_datetime(usage(user).json()["daily_reset_at"]) == resets(timezone.now()).daily


def test_a_host_that_formats_times_otherwise_still_gets_iso_8601(user: Any, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DATETIME_FORMAT": None}
    assert parse_datetime(usage(user).json()["daily_reset_at"]) is not None


def test_settings_that_cannot_work_are_a_conflict(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": "many"}
    response = usage(user)
    assert (response.status_code, response.json()["code"]) == (409, "chat_not_configured")


def test_it_is_shown_where_the_chat_is_off(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"ENABLED": False}
    assert usage(user).status_code == 200


def test_it_costs_two_queries(user: Any, django_assert_num_queries: Any) -> None:
    client = client_of(user)
    with django_assert_num_queries(2):  # The token with its user, and the account.
        client.get(USAGE)


# Who sees whose


def test_ones_own_uuid_is_oneself_with_and_without_dashes(user: Any) -> None:
    budget(user, daily_tokens=7)
    uuid = users.uuid_of(user)
    assert [usage(user, one).json()["daily_usage"] for one in (uuid, uuid.hex)] == [7, 7]


def test_others_are_for_staff_alone(user: Any, other: Any, staff: Any) -> None:
    budget(other, daily_tokens=7)
    assert usage(staff, users.uuid_of(other)).json()["daily_usage"] == 7
    assert usage(user, users.uuid_of(other)).status_code == 403


def test_support_sees_and_sets_like_staff(user: Any, other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(user), "is_support", True, raising=False)
    assert usage(user, users.uuid_of(other)).status_code == 200
    assert set_quota(user, other, daily_limit=1).status_code == 200


def test_whether_there_is_another_user_only_staff_learns(user: Any, staff: Any) -> None:
    unknown = uuid4()
    assert (usage(staff, unknown).status_code, usage(user, unknown).status_code) == (404, 403)


@pytest.mark.parametrize("uuid", [users.NAMESPACE, UUID(int=users.NAMESPACE.int | (1 << 62) - 1)])
def test_a_uuid_of_a_user_who_is_not_there_is_unknown(staff: Any, uuid: UUID) -> None:
    assert usage(staff, uuid).status_code == 404


@pytest.mark.parametrize("uuid", ["x", "7", "{00000000-0000-0000-0000-000000000000}", "\0"])
def test_a_malformed_uuid_is_refused_under_its_name(user: Any, uuid: str) -> None:
    response = usage(user, uuid)
    assert (response.status_code, "user_uuid" in response.json()) == (400, True)


def test_strangers_are_refused(user: Any) -> None:
    assert Client().get(USAGE).status_code == 401
    assert Client().post(SET, {"user_uuid": users.uuid_of(user).hex}, "application/json").status_code == 401


# Limits


def test_limits_are_set_with_an_empty_answer(staff: Any, user: Any) -> None:
    response = set_quota(staff, user, daily_limit=5, weekly_limit=-1, monthly_limit=0)
    assert (response.status_code, response.content) == (200, b"")
    kept = Budget.objects.get(user=user)
    assert (kept.daily_limit, kept.weekly_limit, kept.monthly_limit) == (5, -1, 0)


def test_what_is_left_out_stays_and_null_is_the_default(staff: Any, user: Any) -> None:
    budget(user, daily_limit=1, weekly_limit=2, daily_tokens=7, reserved=8)
    set_quota(staff, user, daily_limit=None)
    kept = Budget.objects.get(user=user)
    assert (kept.daily_limit, kept.weekly_limit, kept.daily_tokens, kept.reserved) == (None, 2, 7, 8)


def test_nothing_to_set_is_no_mistake(staff: Any, user: Any) -> None:
    assert set_quota(staff, user).status_code == 200
    assert not Budget.objects.exists()


def test_ones_own_limits_are_not_ones_own_to_set(user: Any) -> None:
    assert set_quota(user, user, daily_limit=-1).status_code == 403
    assert not Budget.objects.exists()


def test_staff_may_set_their_own(staff: Any) -> None:
    assert set_quota(staff, staff, daily_limit=-1).status_code == 200


@pytest.mark.parametrize("uuid", [uuid4().hex, str(uuid4())], ids=["hex", "with dashes"])
def test_limits_of_nobody_are_not_found(staff: Any, uuid: str) -> None:
    assert set_quota(staff, uuid, daily_limit=1).status_code == 404


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"user_uuid": "x"}, "user_uuid"),
        ({"user_uuid": None}, "user_uuid"),
        ({"daily_limit": -2}, "daily_limit"),
        ({"weekly_limit": "many"}, "weekly_limit"),
        ({"monthly_limit": 1.5}, "monthly_limit"),
        ({"daily_limit": 2**63}, "daily_limit"),
    ],
)
def test_what_cannot_be_is_refused_under_its_name(staff: Any, user: Any, values: Any, name: str) -> None:
    response = set_quota(staff, user, **values) if name != "user_uuid" else set_quota(staff, values["user_uuid"])
    assert (response.status_code, name in response.json()) == (400, True)
    assert not Budget.objects.exists()
