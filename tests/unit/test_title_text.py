"""Titles as text: what is made of a model's words, and of the question where there are none."""

from __future__ import annotations

import pytest

from waldur_chat.turns.titles import FIRST_WORDS_LENGTH, cleaned, first_words


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Networks in Spain", "Networks in Spain"),
        ('"Networks"', "Networks"),
        ("**Networks**", "Networks"),
        ("# Networks\n\nMore of it.", "Networks"),
        ("\n\n  Networks \n", "Networks"),
        ("Title: Networks", "Networks"),
        ("«Сети»", "Сети"),
        ("<think>The user asks\nof networks.</think>\nNetworks", "Networks"),
        ("<think>The user asks", ""),
        ('""\nNetworks', "Networks"),
        (" \n ", ""),
        ("", ""),
    ],
)
def test_a_title_is_the_first_line_without_thoughts_and_markup(written: str, title: str) -> None:
    assert cleaned(written) == title


def test_a_title_has_at_most_150_characters() -> None:
    assert cleaned("x" * 500) == "x" * 150


def test_a_short_question_is_its_title() -> None:
    assert first_words("  What is\n a VPC? ") == "What is a VPC?"


def test_a_long_question_is_cut_between_words() -> None:
    assert first_words("word " * 30) == "word " * 11 + "word…"


def test_a_single_long_word_is_cut_anyway() -> None:
    assert first_words("x" * 500) == "x" * FIRST_WORDS_LENGTH + "…"
