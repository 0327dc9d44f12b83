"""What the page says about the tokens that are left."""

from __future__ import annotations

import pytest

from tests.acceptance.page.answers import END, refusal, words
from tests.acceptance.page.reader import Reader, expect


@pytest.mark.parametrize(
    ("usage", "line"),
    [
        ({"daily_remaining": 1234}, "1,234 tokens left today"),
        ({"daily_remaining": None, "weekly_remaining": 5_000_000}, "5,000,000 tokens left this week"),
        ({"daily_remaining": 900, "weekly_remaining": 100, "monthly_remaining": 50}, "50 tokens left this month"),
        ({"daily_remaining": 0}, "0 tokens left today"),
        ({"daily_remaining": -7}, "0 tokens left today"),
        ({"daily_remaining": None, "weekly_remaining": None, "monthly_remaining": None}, ""),
        ({}, ""),
    ],
)
def test_the_tightest_limit_is_told(keeper: Reader, usage: dict[str, int | None], line: str) -> None:
    keeper.kept.usage = usage
    keeper.open_kept()
    keeper.until(lambda: len(keeper.kept.calls("GET /quota/usage/")) == 1)

    expect(keeper.page.locator("#budget")).to_have_text(line)


def test_it_is_asked_for_again_after_each_turn(keeper: Reader) -> None:
    keeper.kept.usage = {"daily_remaining": 100}
    keeper.open_kept()
    expect(keeper.page.locator("#budget")).to_have_text("100 tokens left today")
    keeper.kept.usage = {"daily_remaining": 60}
    keeper.ask_and_wait("One?", words("Uno", END))

    expect(keeper.page.locator("#budget")).to_have_text("60 tokens left today")


def test_one_that_cannot_be_had_is_not_told(keeper: Reader) -> None:
    keeper.kept.refuse("GET /quota/", refusal(403, {"detail": "No."}))
    keeper.open_kept()
    keeper.ask_and_wait("One?", words("Uno", END))

    expect(keeper.page.locator("#budget")).to_be_hidden()


def test_what_a_question_needs_is_said_by_the_server_alone(keeper: Reader) -> None:
    needs = "This question needs 5,000 tokens, and 3,000 are left. Begin a new conversation."
    keeper.open_kept()
    body = {"detail": needs, "code": "budget_exhausted", "period": "daily", "needed": 5000, "left": 3000}
    keeper.ask_and_wait("One?", refusal(429, body))

    expect(keeper.log.locator(".outcome p")).to_have_text(needs)


@pytest.mark.parametrize(
    ("seconds", "when"),
    [(60, "in 60 seconds"), (600, "in 10 minutes"), (9000, "in 3 hours"), (1_000_000, "in 12 days")],
)
def test_one_that_is_used_up_says_until_when(keeper: Reader, seconds: int, when: str) -> None:
    body = {"detail": "The budget is used up.", "code": "budget_exhausted", "period": "daily", "retry_after": seconds}
    keeper.open_kept()
    keeper.ask_and_wait("One?", refusal(429, body))

    expect(keeper.log).to_contain_text(f"The budget is used up. Try again {when}.")
    expect(keeper.button("Try again")).to_be_visible()
