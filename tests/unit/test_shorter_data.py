"""Results of tools and context are cut to what the model's window leaves, and there is room for an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.aio import run
from tests.unit.test_context_window import Sized, refusal
from tests.unit.test_outgrown import narrow, tell
from waldur_chat.events import CONTEXT_MISSING, Delta, Finished, Warned
from waldur_chat.messages import Call, Message, Prompt
from waldur_chat.providers.context_window import UNKNOWN_DATA, ContextWindow
from waldur_chat.providers.shorter_data import SHORTEST, data_size, with_data
from waldur_chat.text_size import total_size

SYSTEM = Message(role="system", text="Be kind.")
QUESTION = Message(role="user", text="Which?")


def result(number: int, text: str) -> Message:
    return Message(role="tool", text=f"<{text}>", call_id=str(number), data=((1, len(text) + 1),))


def prompt_of(*texts: str, history: int = 0, context: str = "") -> Prompt:
    """A question, perhaps with context, and calls with these results."""
    old = [Message(role=role, text="x" * 1000) for _ in range(history) for role in ("user", "assistant")]  # type: ignore[arg-type]
    calls = Message(role="assistant", text="", calls=tuple(Call(id=str(at), name="a") for at in range(len(texts))))
    prompt = Prompt(messages=(SYSTEM, *old, QUESTION, calls, *(result(at, text) for at, text in enumerate(texts))))
    shown = Message(role="user", text=f"[{context}]", data=((1, len(context) + 1),))
    return prompt.with_context(shown) if context else prompt


def lengths(prompt: Prompt) -> list[int]:
    return [end - begin for message in prompt.messages for begin, end in message.data]


def test_a_prompt_with_little_data_is_the_same() -> None:
    prompt = prompt_of("a" * 10)
    assert with_data(prompt, 10) is prompt


def test_what_a_short_result_needs_not_is_for_the_long_ones() -> None:
    shorter = with_data(prompt_of("a" * 100, "b" * 9000, "c" * 9000), 4100)
    assert lengths(shorter) == [100, 2000, 2000]
    assert "[Cut: " in shorter.messages[-1].text
    assert shorter.messages[-1].text[-1] == ">"


def test_rows_are_left_out_whole() -> None:
    rows = json.dumps({"rows": [{"name": "x" * 50}] * 100, "total": 100}, separators=(",", ":"))
    shorter = with_data(prompt_of(rows), 2000)
    ((begin, end),) = shorter.messages[-1].data
    value = json.loads(shorter.messages[-1].text[begin:end])
    assert 20 < len(value["rows"]) < 40
    assert value["more"].startswith("Only the first")


@pytest.mark.parametrize("text", ['{"rows":' + "[" * 3000, '{"rows":' * 400])
def test_what_only_begins_as_rows_is_cut_as_text(text: str) -> None:
    assert lengths(with_data(prompt_of(text), 1000)) == [999]


def test_context_is_cut_and_the_question_stays() -> None:
    shorter = with_data(prompt_of("a" * 9000, context="c" * 9000), 3000)
    assert lengths(shorter) == [1500, 1500]
    assert (shorter.question, shorter.messages[1].text[-8:]) == ("Which?", "\n\nWhich?")


def test_bytes_count_and_not_characters() -> None:
    shorter = with_data(prompt_of("\u00e4" * 4000), 2000)
    assert 900 < lengths(shorter)[0] <= 1000


def test_a_little_of_each_is_left() -> None:
    assert lengths(with_data(prompt_of("a" * 900, "b" * 900), -5)) == [SHORTEST, SHORTEST]


def test_for_providers_without_tools_they_are_cut_as_well() -> None:
    told = prompt_of("a" * 9000, "b" * 9000, context="c" * 9000).without_calls()
    shorter = with_data(told, 3000)
    assert (lengths(shorter), len(shorter.messages)) == ([999] * 3, 2)
    assert shorter.question.startswith("Which?\n\nResult of the tool a:\n<aaa")


class TestWindow:
    """A window of 4,000 tokens, of which an answer may have 1,000."""

    def test_results_share_what_is_left(self) -> None:
        prompt = prompt_of("a" * 16_000, "b" * 16_000, "c" * 100)
        fitted = ContextWindow(Sized(4000)).fit(prompt)
        first, second, third = lengths(fitted)
        assert (first, third) == (second, 100)
        assert total_size(fitted.counted) * 1.2 / 4 + 1000 <= 4000
        assert first > 4000

    def test_older_messages_go_first(self) -> None:
        fitted = ContextWindow(Sized(4000)).fit(prompt_of("a" * 8000, history=10))
        assert (lengths(fitted), len(fitted.history)) == ([8000], 0)

    def test_there_is_room_for_an_answer_in_each_round(self) -> None:
        for rounds in range(1, 10):
            fitted = ContextWindow(Sized(8000, 4096)).fit(prompt_of(*["a" * 16_000] * rounds))
            assert total_size(fitted.counted) * 1.2 / 4 + (fitted.max_output_tokens or 4096) <= 8000

    def test_a_refusal_that_names_no_size_halves_them(self) -> None:
        prompt = prompt_of("a" * 12_000)
        window = ContextWindow(Sized())
        shorter = window.fit_after(prompt, refusal())
        assert shorter
        assert lengths(shorter) == [6000]
        assert lengths(window.fit(prompt))[0] < 10_000

    def test_but_leaves_no_more_than_small_models_take(self) -> None:
        shorter = ContextWindow(Sized()).fit_after(prompt_of("a" * 60_000), refusal())
        assert shorter
        assert data_size(shorter) == UNKNOWN_DATA


@pytest.mark.parametrize("lacks", [False, True])
def test_a_turn_goes_on_with_less_of_its_results(lacks: bool) -> None:
    """The reader is warned of older messages that are left out, not of results that are cut: the model sees that."""
    spec, asked = narrow(4000)
    prompt = Prompt(messages=prompt_of(context="a" * 6000).messages, lacks_context=lacks)
    events, _ = run(tell(prompt, spec))
    assert [len(one.messages[-2].text) < 4000 for one in asked] == [False, True]
    warned: list[Any] = [event for event in events if isinstance(event, Warned)]
    assert [one.text for one in warned] == [CONTEXT_MISSING] * lacks
    assert isinstance(events[-1], Finished)
    assert Delta(text="Hello") in events
