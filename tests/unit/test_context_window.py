"""How much fits into a model: as the option says, or as the service says when it refuses."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.unit.test_shorter_prompts import history_of, prompt_of
from waldur_chat.errors import ContextExceeded
from waldur_chat.events import ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers import context_window
from waldur_chat.providers.base import Provider
from waldur_chat.providers.context_window import LEARNT_SECONDS, ContextWindow
from waldur_chat.text_size import MESSAGE_BYTES

KB = 1024 - MESSAGE_BYTES
"""A text of so many characters takes a kilobyte, with what a template adds to it."""


class Sized(Provider):
    """A model of this size, which is never asked."""

    def __init__(self, context_tokens: int | None = None, max_output_tokens: int | None = 1000) -> None:
        self.context_tokens = context_tokens
        self.max_output_tokens = max_output_tokens

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        raise NotImplementedError
        yield


def conversation(messages: int) -> Prompt:
    """A history of so many messages of a kilobyte each, and a question."""
    return prompt_of(*["x" * KB] * messages, "q" * KB, system="")


def kept(prompt: Prompt | None) -> int:
    assert prompt is not None
    return len(prompt.history)


def refusal(context_tokens: int | None = None) -> ContextExceeded:
    return ContextExceeded(context_tokens=context_tokens)


def test_a_size_that_is_not_known_changes_nothing() -> None:
    prompt = conversation(100)
    assert ContextWindow(Sized()).fit(prompt) is prompt


def test_a_prompt_that_fits_is_the_same() -> None:
    prompt = conversation(8)
    assert ContextWindow(Sized(4000)).fit(prompt) is prompt


def test_a_prompt_that_does_not_fit_loses_the_beginning_of_its_history() -> None:
    # 3000 tokens beside the answer are 10,000 bytes, with the margin: nine messages and the question.
    shorter = ContextWindow(Sized(4000)).fit(conversation(40))
    assert kept(shorter) == 8
    assert shorter.max_output_tokens is None


def test_an_answer_has_at_most_half_of_a_small_context() -> None:
    shorter = ContextWindow(Sized(2000, max_output_tokens=4096)).fit(conversation(40))
    assert shorter.max_output_tokens == 1000
    assert kept(shorter) == 2


def test_a_long_question_leaves_less_for_the_answer() -> None:
    prompt = prompt_of("a", "b", "q" * 5000, system="")
    shorter = ContextWindow(Sized(2000)).fit(prompt)
    assert history_of(shorter) == []
    assert 256 < (shorter.max_output_tokens or 0) < 600


def test_a_question_that_is_too_long_is_left_to_the_service() -> None:
    shorter = ContextWindow(Sized(2000)).fit(prompt_of("q" * 50_000))
    assert shorter.question == "q" * 50_000
    assert shorter.max_output_tokens == context_window.SMALLEST_TOKENS


def test_a_provider_without_a_limit_of_its_own_is_given_none() -> None:
    shorter = ContextWindow(Sized(2000, max_output_tokens=None)).fit(conversation(40))
    assert shorter.max_output_tokens is None
    assert kept(shorter) == 2


def test_the_limit_of_the_prompt_counts_too() -> None:
    prompt = Prompt(messages=conversation(4).messages, max_output_tokens=100)
    assert ContextWindow(Sized(2000)).fit(prompt) is prompt


def test_the_size_that_a_refusal_names_is_learnt() -> None:
    context = ContextWindow(Sized())
    assert kept(context.fit_after(conversation(40), refusal(4000))) == 2
    assert context.tokens == 4000
    assert kept(context.fit(conversation(40))) == 8


def test_what_was_learnt_is_forgotten_after_a_while() -> None:
    now = [0.0]
    context = ContextWindow(Sized(), clock=lambda: now[0])
    context.fit_after(conversation(40), refusal(4000))
    now[0] = LEARNT_SECONDS
    assert context.tokens is None


@pytest.mark.parametrize(("option", "named", "known"), [(3000, 4000, 3000), (4000, 3000, 3000)])
def test_the_smaller_size_holds(option: int, named: int, known: int) -> None:
    context = ContextWindow(Sized(option))
    context.fit_after(conversation(40), refusal(named))
    assert context.tokens == known


@pytest.mark.parametrize("named", [None, 0, -1, 255, 10_000_000])
def test_a_size_that_cannot_be_true_is_not_believed(named: int | None) -> None:
    context = ContextWindow(Sized())
    assert kept(context.fit_after(conversation(8), refusal(named))) == 4
    assert context.tokens is None


def test_a_service_that_refuses_what_should_fit_gets_half_of_the_history() -> None:
    assert kept(ContextWindow(Sized(1_000_000)).fit_after(conversation(8), refusal())) == 4


def test_a_long_history_is_cut_down_to_what_any_model_takes() -> None:
    assert kept(ContextWindow(Sized()).fit_after(conversation(100), refusal())) == 8


def test_a_prompt_as_long_as_one_that_was_refused_is_cut_before_it_is_sent() -> None:
    now = [0.0]
    context = ContextWindow(Sized(), clock=lambda: now[0])
    context.fit_after(conversation(19), refusal())
    assert kept(context.fit(conversation(18))) == 18
    assert kept(context.fit(conversation(40))) == 14
    now[0] = LEARNT_SECONDS
    assert kept(context.fit(conversation(40))) == 40


def test_a_question_that_is_too_long_by_itself_shortens_no_conversation() -> None:
    context = ContextWindow(Sized())
    context.fit_after(prompt_of("q" * 5000), refusal())
    assert kept(context.fit(conversation(40))) == 40


def test_without_a_history_and_a_size_there_is_nothing_to_ask_again_with() -> None:
    assert ContextWindow(Sized()).fit_after(conversation(0), refusal()) is None


def test_a_question_that_fits_without_its_answers_limit_is_asked_with_less() -> None:
    shorter = ContextWindow(Sized(max_output_tokens=4096)).fit_after(prompt_of("Hi"), refusal(4096))
    assert shorter is not None
    assert shorter.max_output_tokens == 2048


def test_a_refusal_proves_how_many_tokens_there_are() -> None:
    """6000 bytes that are more than 4096 tokens: the answer gets what they leave."""
    shorter = ContextWindow(Sized(max_output_tokens=4096)).fit_after(prompt_of("q" * 6000), refusal(8192))
    assert shorter is not None
    assert 1500 < (shorter.max_output_tokens or 0) < 2500
