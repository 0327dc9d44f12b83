"""Budgets as clients see them: statuses, times and headers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.conftest import Caller
from waldur_chat.models import Budget, DayOfUsage, Turn
from waldur_chat.testing import scripted

PERIODS = {"daily": 86_400, "weekly": 7 * 86_400, "monthly": 30 * 86_400}


@pytest.fixture(params=["invoke", "stream"])
def operation(request: pytest.FixtureRequest) -> str:
    """Both operations."""
    return str(request.param)


def ask(call: Caller, operation: str = "stream") -> Any:
    with scripted("Hello"):
        return call.post(f"/api/chat/{operation}/", {"input": "Hi"})


@pytest.mark.parametrize("storage", [True, False])
@pytest.mark.parametrize("scope", ["user", "site"])
@pytest.mark.parametrize("period", PERIODS)
def test_a_budget_refuses_in_its_own_name(call: Caller, settings: Any, scope: str, period: str, storage: bool) -> None:
    settings.WALDUR_CHAT = {f"{scope}_TOKENS_{period}".upper(): 10, "STORAGE": storage}
    reply = ask(call)
    assert (reply.status, reply.json["code"]) == (429, "budget_exhausted")
    assert (reply.json["scope"], reply.json["period"]) == (scope, period)
    assert (reply.json["needed"], reply.json["left"]) == (19, 10)
    assert "19 tokens" in reply.json["detail"]


def test_a_refusal_tells_when_to_come_again(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    reply = ask(call, operation)
    assert int(reply.headers["Retry-After"]) == reply.json["retry_after"]
    assert 0 < reply.json["retry_after"] <= 86_400 + 3600


@pytest.mark.parametrize(("period", "seconds"), PERIODS.items())
def test_a_refusal_tells_the_rule(call: Caller, settings: Any, period: str, seconds: int) -> None:
    settings.WALDUR_CHAT = {f"USER_TOKENS_{period.upper()}": 10}
    reply = ask(call)
    name = f'"user-tokens-{period}"'
    assert reply.headers["RateLimit"] == f"{name};r=0;t={reply.headers['Retry-After']}"
    assert f'{name};q=10;w={seconds};qu="tokens"' in reply.headers["RateLimit-Policy"]


def test_an_answer_tells_of_no_budget(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10_000}
    assert "tokens" not in ask(call).headers.get("RateLimit-Policy", "")


def test_the_site_may_answer_409(call: Caller, settings: Any, operation: str) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10, "BUDGET_STATUS": 409}
    reply = ask(call, operation)
    assert (reply.status, reply.json["code"], reply.json["scope"]) == (409, "budget_exhausted", "user")
    assert int(reply.headers["Retry-After"]) == reply.json["retry_after"]


def test_what_running_turns_hold_is_soon_there_again(call: Caller, settings: Any, user: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10_000}
    Budget.objects.create(user=user, reserved=9_990)
    assert ask(call).headers["Retry-After"] == "5"


@pytest.mark.parametrize(("own", "status"), [(None, 429), (0, 429), (-1, 200), (100_000, 200)])
def test_a_users_own_limit_stands_before_the_sites(
    call: Caller, settings: Any, user: Any, own: int | None, status: int
) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10}
    Budget.objects.create(user=user, daily_limit=own)
    assert ask(call).status == status


@pytest.mark.parametrize(("limit", "status"), [(0, 429), (-1, 200)])
def test_zero_is_nothing_and_minus_one_is_all(call: Caller, settings: Any, limit: int, status: int) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_MONTHLY": limit}
    assert ask(call).status == status


@pytest.mark.parametrize("storage", [True, False])
def test_an_answer_is_charged_and_what_was_held_given_back(
    call: Caller, settings: Any, user: Any, storage: bool
) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10_000, "STORAGE": storage}
    assert ask(call, "invoke").status == 200
    line, account = DayOfUsage.objects.get(), Budget.objects.get(user=user)
    assert account.reserved == 0
    assert (line.turns, account.daily_tokens) == (1, line.input_tokens + line.output_tokens)
    assert account.daily_tokens > 0


def test_who_is_refused_leaves_nothing_behind(call: Caller, settings: Any) -> None:
    settings.WALDUR_CHAT = {"USER_TOKENS_DAILY": 10, "STORAGE": True}
    assert ask(call).status == 429
    assert (Turn.objects.count(), DayOfUsage.objects.count()) == (0, 0)
