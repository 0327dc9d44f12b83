"""The offline provider."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.unit.aio import answer, run
from waldur_chat.events import Delta, Stopped, Usage
from waldur_chat.messages import Message, Prompt
from waldur_chat.providers.offline import ADVICE, GREETING, OfflineProvider


def prompt(text: str, opens: bool = False) -> Prompt:
    return Prompt(messages=(Message(role="user", text=text),), opens=opens)


def text(one: Prompt) -> str:
    events = run(answer(OfflineProvider(delay=0), one))
    return "".join(event.text for event in events if isinstance(event, Delta))


def test_it_says_what_it_is_and_what_to_do() -> None:
    assert text(prompt("Greet the user.", opens=True)) == GREETING + ADVICE


def test_it_quotes_the_question() -> None:
    assert "> What is a VPC?\n" in text(prompt("What is a VPC?"))


def test_of_a_long_question_it_quotes_the_beginning_of_the_last_line() -> None:
    assert f"> {'x' * 200}\n" in text(prompt("System text\n\n" + "x" * 50_000 + "\n"))


def test_braces_are_only_braces() -> None:
    assert "> {question} {0}\n" in text(prompt("{question} {0}"))


def test_it_answers_word_by_word() -> None:
    deltas = [event for event in run(answer(OfflineProvider(delay=0), prompt("Hi"))) if isinstance(event, Delta)]
    assert deltas[:2] == [Delta(text="Hello!"), Delta(text=" I")]


def test_it_counts_words() -> None:
    events = run(answer(OfflineProvider(delay=0), prompt("What is a VPC?", opens=True)))
    words = len((GREETING + ADVICE).split(" "))
    assert events[-2:] == [Usage(input_tokens=4, output_tokens=words), Stopped(reason="stop")]


@pytest.mark.parametrize("delay", ["1", -1, None])
def test_a_delay_is_a_number_of_seconds(delay: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="delay"):
        OfflineProvider(delay=delay)
