"""Tokens are counted as reported, and guessed where they were not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.aio import PROMPT
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import Usage
from waldur_chat.text_size import estimated_tokens, size_of


def reported(read: int, written: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written)


def guessed(read: int, written: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written, estimated=True)


def test_nothing_is_used_before_somebody_is_asked() -> None:
    assert UsageCounter(PROMPT).total() is None


def test_a_prompt_that_was_sent_is_guessed() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    assert tally.total() == guessed(6, 0)


def test_a_shorter_prompt_that_was_sent_in_its_place_is_guessed() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.start_attempt(replace(PROMPT, messages=PROMPT.messages[1:]))
    assert tally.total() == guessed(4, 0)


def test_four_bytes_make_a_token() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.add_output("12345")
    tally.add_output("жж")
    assert tally.total() == guessed(6, 3)


def test_half_a_character_counts_too() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.add_output("\ud83d")
    assert tally.total() == guessed(6, 1)


def test_the_last_report_counts() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 1))
    tally.report(reported(7, 5))
    assert tally.total() == reported(7, 5)


@pytest.mark.parametrize("last", [(7, 1), (3, 5), (0, 0), (7, 5)])
def test_of_several_reports_each_sides_largest_count_holds(last: tuple[int, int]) -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.add_output("12345678")
    tally.report(reported(7, 5))
    tally.report(reported(*last))
    assert tally.total(complete=True) == tally.total() == reported(7, 5)


def test_zeros_for_an_answer_are_not_reported() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(0, 0))
    tally.add_output("12345678")
    tally.report(reported(0, 0))
    assert tally.total(complete=True) == guessed(6, 2)


def test_one_side_that_is_not_reported_is_guessed() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.add_output("12345678")
    tally.report(reported(0, 400))
    assert tally.total(complete=True) == guessed(6, 400)
    tally.start_attempt()
    tally.report(reported(900, 0))
    tally.add_output("12345678")
    assert tally.total(complete=True) == guessed(900, 402)


def test_what_was_written_after_the_last_report_is_guessed() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 5))
    tally.add_output("12345678")
    assert tally.total() == guessed(7, 7)


def test_who_has_said_everything_has_reported_everything() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 5))
    tally.add_output("12345678")
    assert tally.total(complete=True) == reported(7, 5)


def test_an_attempt_that_failed_before_it_answered_has_used_what_it_reported() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.discard_attempt()
    assert tally.total() is None
    tally.start_attempt()
    tally.report(reported(7, 0))
    tally.discard_attempt()
    assert tally.total() == reported(7, 0)


def test_attempts_add_up() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 0))
    tally.discard_attempt()
    tally.start_attempt()
    tally.report(reported(7, 5))
    assert tally.total() == reported(14, 5)


def test_a_sum_with_a_guess_is_a_guess() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 0))
    tally.discard_attempt()
    tally.start_attempt()
    assert tally.total() == guessed(13, 0)


def test_an_answer_that_is_written_has_what_was_reported_and_a_guess() -> None:
    tally = UsageCounter(PROMPT)
    assert tally.output_tokens == 0
    tally.start_attempt()
    tally.add_output("12345")
    assert tally.output_tokens == 2
    tally.report(reported(7, 5))
    tally.add_output("12345")
    assert tally.output_tokens == 7


def test_another_attempt_writes_another_answer() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 5))
    tally.start_attempt()
    assert tally.output_tokens == 0


@pytest.mark.parametrize(
    ("text", "size", "tokens"), [("", 0, 0), ("a", 1, 1), ("12345", 5, 2), ("жж", 4, 1), ("\ud83d", 3, 1)]
)
def test_a_text_is_as_long_as_its_bytes(text: str, size: int, tokens: int) -> None:
    assert (size_of(text), estimated_tokens(text)) == (size, tokens)


def test_an_answer_is_not_as_short_as_its_report_says() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.add_output("x" * 10_000)
    tally.report(reported(7, 1))
    assert tally.total(complete=True) == guessed(7, 2500)
    assert tally.reported_answer is None


def test_a_report_before_the_answer_does_not_count_the_answer() -> None:
    tally = UsageCounter(PROMPT)
    tally.start_attempt()
    tally.report(reported(7, 1))
    tally.add_output("x" * 10_000)
    assert tally.total(complete=True) == guessed(7, 2500)


def test_a_prompt_is_not_as_short_as_its_report_says() -> None:
    long = replace(PROMPT, messages=(replace(PROMPT.messages[0], text="x" * 10_000),))
    tally = UsageCounter(long)
    tally.start_attempt()
    tally.report(reported(1, 1))
    tally.add_output("Hello")
    assert tally.total(complete=True) == guessed(2500, 1)
    assert tally.reported_prompt is None
