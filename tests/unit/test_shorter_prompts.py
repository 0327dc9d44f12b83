"""A prompt with less history: what is left is the newest, and a model's template takes it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waldur_chat.messages import Message, Prompt, Role
from waldur_chat.text_size import MESSAGE_BYTES, total_size

SIDES: tuple[Role, Role] = ("user", "assistant")
ONE = 10 + MESSAGE_BYTES


def prompt_of(*texts: str, system: str = "Be kind.", unanswered: str = "") -> Prompt:
    """A conversation, of which the last text is the question."""
    instructions = [Message(role="system", text=system)] if system else []
    spoken = [Message(role=SIDES[index % 2], text=text) for index, text in enumerate(texts[:-1])]
    question = Message(role="user", text=unanswered + texts[-1])
    return Prompt(messages=(*instructions, *spoken, question), unanswered_length=len(unanswered))


def texts(prompt: Prompt) -> list[str]:
    return [message.text for message in prompt.messages]


def history_of(prompt: Prompt) -> list[str]:
    return [message.text for message in prompt.history]


LONG = [letter * 10 for letter in "abcdefg"]


@pytest.mark.parametrize(
    ("size", "left"),
    [(6 * ONE, "abcdef"), (6 * ONE - 1, "cdef"), (4 * ONE, "cdef"), (4 * ONE - 1, "ef"), (ONE, ""), (0, ""), (-1, "")],
)
def test_the_newest_messages_that_fit_are_left(size: int, left: str) -> None:
    shorter = prompt_of(*LONG).with_history(size)
    assert texts(shorter) == ["Be kind.", *(letter * 10 for letter in left), "g" * 10]


def test_a_prompt_that_fits_is_the_same() -> None:
    prompt = prompt_of(*LONG)
    assert prompt.with_history(1000) is prompt


def test_without_a_history_nothing_can_be_left_out() -> None:
    prompt = prompt_of("a")
    assert prompt.with_history(0) is prompt


def test_earlier_questions_without_an_answer_are_history() -> None:
    prompt = prompt_of(*LONG, unanswered="Hm?\n\n")
    assert history_of(prompt) == [*LONG[:-1], "Hm?\n\n"]


def test_earlier_questions_stay_with_the_question_as_long_as_they_fit() -> None:
    shorter = prompt_of(*LONG, unanswered="Hm?\n\n").with_history(2 * ONE + 5 + MESSAGE_BYTES)
    assert texts(shorter) == ["Be kind.", "e" * 10, "f" * 10, "Hm?\n\n" + "g" * 10]
    assert shorter.unanswered_length == 5


def test_earlier_questions_that_do_not_fit_are_left_out_with_all_before_them() -> None:
    shorter = prompt_of(*LONG, unanswered="x" * 1000).with_history(6 * ONE)
    assert texts(shorter) == ["Be kind.", "g" * 10]
    assert shorter.unanswered_length == 0


@given(st.lists(st.text(max_size=20), min_size=1, max_size=9), st.text(max_size=20), st.integers(-5, 400))
def test_whatever_is_left_out_the_roles_alternate(said: list[str], unanswered: str, size: int) -> None:
    said = said if len(said) % 2 else said[1:] or ["a", "b", "c"]
    prompt = prompt_of(*said, unanswered=unanswered)
    shorter = prompt.with_history(size)
    roles = [message.role for message in shorter.messages]
    assert roles[:2] == ["system", "user"]
    assert roles[-1] == "user"
    assert all(one != other for one, other in pairwise(roles))
    assert shorter is prompt or total_size(shorter.history) <= max(size, 0)
    assert shorter.question.endswith(said[-1])
