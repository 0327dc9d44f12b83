"""How many tokens a text likely has, from what its model has reported."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.messages import Message
from waldur_chat.models import TokenRatio
from waldur_chat.store.budgets import token_estimates
from waldur_chat.store.budgets.token_estimates import Report, TokenEstimate
from waldur_chat.text_size import TextSize, measured

pytestmark = [pytest.mark.core, pytest.mark.django_db]


def prose(characters: int, size: int = 0, symbols: int = 0) -> TextSize:
    """A text of so many characters, and as many bytes unless more are said."""
    return TextSize(characters=characters, size=size or characters, symbols=symbols)


def report(text: TextSize, *ratios: float, model: str = "m", times: int = 1) -> None:
    """Report these characters per token, each so often, beside the tokens of the template."""
    tokens = [round(text.characters / ratio) + 10 for ratio in ratios] * times
    token_estimates.add([Report(model=model, text=text, tokens=one) for one in tokens])


def test_nothing_is_known_of_a_new_model_but_that_a_token_has_a_byte() -> None:
    assert token_estimates.load(["m"]).input_tokens(prose(1000, 2000)) == 2000 + 16


def test_twenty_reports_are_enough() -> None:
    report(prose(1000), 4, times=19)
    assert token_estimates.load(["m"]).input_tokens(prose(1000)) == 1016
    report(prose(1000), 4)
    assert token_estimates.load(["m"]).input_tokens(prose(1000)) == 286  # (1000 / 4 + 10) * 1.1


def test_one_in_ten_prompts_may_have_more_tokens() -> None:
    report(prose(1000), *[2] * 4, *[4] * 46)
    assert token_estimates.load(["m"]).input_tokens(prose(1000)) == 286
    report(prose(1000), *[2] * 2)
    assert token_estimates.load(["m"]).input_tokens(prose(1000)) == 561


@pytest.mark.parametrize(("reported", "believed"), [(0.2, 1), (100, 6)])
def test_only_ratios_that_can_be_true_are_believed(reported: float, believed: int) -> None:
    report(prose(600), reported, times=20)
    assert token_estimates.load(["m"]).input_tokens(prose(6000)) == min(6016, round((6000 / believed + 10) * 1.1))


def test_a_long_text_says_more_than_a_short_one() -> None:
    report(prose(2), 0.5, times=30)
    report(prose(2000), 4, times=20)
    assert token_estimates.load(["m"]).input_tokens(prose(1000)) == 286


def test_scripts_are_told_apart() -> None:
    report(prose(1000), 4, times=20)
    report(prose(1000, 3000), 1.5, times=20)
    estimate = token_estimates.load(["m"])
    assert [estimate.input_tokens(prose(1000, size)) for size in (1000, 2000, 3000)] == [286, 2016, 777]


def test_code_is_told_apart_from_prose() -> None:
    report(prose(1000), 4, times=20)
    report(prose(1000, symbols=150), 2.5, times=20)
    estimate = token_estimates.load(["m"])
    assert [estimate.input_tokens(prose(1000, symbols=symbols)) for symbols in (0, 150)] == [286, 452]


def test_a_kind_without_reports_is_like_others_of_its_script() -> None:
    report(prose(1000), 4, times=20)
    assert token_estimates.load(["m"]).input_tokens(prose(1000, symbols=900)) == 286


def test_of_several_models_the_largest_estimate_counts() -> None:
    report(prose(1000), 4, times=20)
    report(prose(1000), 2, times=20, model="n")
    assert token_estimates.load(["m", "n"]).input_tokens(prose(1000)) == 561
    assert token_estimates.load(["m", "new"]).input_tokens(prose(1000)) == 1016


def test_an_answer_is_estimated_by_the_median() -> None:
    assert TokenEstimate().bytes_per_token == 4
    answers = [Report(model="m", text=prose(1000), tokens=tokens, is_answer=True) for tokens in (200, 500, 500)]
    token_estimates.add(answers * 10)
    assert token_estimates.load(["m", "new"]).bytes_per_token == 2


def test_reports_are_added_to_those_of_other_processes() -> None:
    report(prose(1000), 4)
    report(prose(1000), 4, 4)
    bar = TokenRatio.objects.get()
    assert (str(bar), bar.reports, bar.weight) == ("m, 11, 64", 3, 3000)


def test_nothing_to_add_is_not_written(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        token_estimates.add([])


def test_no_model_is_not_asked_for(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert token_estimates.load([]) == TokenEstimate()


def test_the_size_of_messages_is_that_of_all() -> None:
    messages = [Message(role="user", text="a = 1;"), Message(role="user", text="Grüße")]
    assert measured(messages) == TextSize(characters=11, size=13, symbols=3, messages=2)
