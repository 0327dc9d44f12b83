"""Thoughts at the beginning of an answer are separated from its text, however both are cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fences import each_case
from waldur_chat.events import Delta, Reasoning, ReasoningWasAnswer
from waldur_chat.providers.dialects.leading_thoughts import MAX_FENCE_LINE, MAX_HELD, ThoughtSplitter
from waldur_chat.wire.thoughts import without_thoughts


class Split:
    """What becomes of a text in these pieces."""

    def __init__(
        self, pieces: Iterable[str], *, starts_open: bool = False, is_certain: bool = False, is_complete: bool = True
    ) -> None:
        self.learnt: list[str] = []
        splitter = ThoughtSplitter(
            starts_open=starts_open,
            is_certain=is_certain,
            on_unopened=lambda: self.learnt.append("unopened"),
            on_open_answer=lambda: self.learnt.append("answer"),
        )
        self.events = [event for piece in pieces for event in splitter.feed(piece)]
        self.events += splitter.flush(is_complete=is_complete)

    def joined(self, kind: type[Delta | Reasoning | ReasoningWasAnswer]) -> str:
        return "".join(event.text for event in self.events if isinstance(event, kind))

    @property
    def text(self) -> str:
        return self.joined(Delta)

    @property
    def thoughts(self) -> str:
        return self.joined(Reasoning)


def split(text: str, **options: bool) -> tuple[str, str]:
    """Thoughts and text; the same in single characters."""
    whole, single = Split([text], **options), Split(text, **options)
    assert (whole.thoughts, whole.text, whole.learnt) == (single.thoughts, single.text, single.learnt)
    assert whole.joined(ReasoningWasAnswer) == single.joined(ReasoningWasAnswer)
    return whole.thoughts, whole.text


@pytest.mark.parametrize(
    ("written", "thoughts", "text"),
    [
        ("Hello!", "", "Hello!"),
        ("\n\nHello!", "", "\n\nHello!"),
        ("<think>\nhm\n</think>\n\nHello!", "\nhm\n", "Hello!"),
        (" <thinking>hm</think></thinking>Hello!", "hm</think>", "Hello!"),
        ("<think></think>Hello!", "", "Hello!"),
        ("<think>a</think> <think>b</think> Hello!", "ab", "Hello!"),
        ("<think>a < b </thin</think>Hello!", "a < b </thin", "Hello!"),
        ("<think>hm", "hm", ""),
        ("<think>hm</thi", "hm</thi", ""),
        ("<think>hm</think>\n", "hm", ""),
        ("<thi", "", "<thi"),
        ("<thinner", "", "<thinner"),
        ("Use <think> and </think>.", "", "Use <think> and </think>."),
        ("<think>hm</think>Use\n</think>\n.", "hm", "Use\n</think>\n."),
        ("", "", ""),
        (" \n", "", ""),
    ],
)
def test_leading_thoughts_are_reasoning(written: str, thoughts: str, text: str) -> None:
    assert split(written) == (thoughts, text)


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<thinking>", "</thinking>", "a", "\n", " ", "<", "th", "```"]))
)
def test_what_is_told_as_text_is_what_is_stored(parts: list[str]) -> None:
    whole = "".join(parts)
    thoughts, text = split(whole)
    if thoughts or whole.lstrip().startswith(("<think>", "<thinking>")):  # Thoughts may be empty.
        assert text == without_thoughts(whole)
    else:
        assert without_thoughts(whole).strip() == without_thoughts(text).strip()


@pytest.mark.parametrize(
    ("written", "learnt"),
    [
        ("Okay.\n</think>\n\nHello!", ["unopened"]),
        ("</think>\nHello!", ["unopened"]),
        ("Okay.\n</thinking> \r\nHello!", ["unopened"]),
        ("Okay.\n</think>", ["unopened"]),
        ("One.\n</think>\nTwo.\n</think>\n", ["unopened"]),
        ("Okay.</think>\nHello!", []),
        ("Okay.\n</think> Hello!", []),
        ("Use <think> and\n</think>\nso on", []),
        ("<think>hm</think>Hello\n</think>\n", []),
        ("a\n<b>\n</thin\n", []),
        ("Write:\n\n```\n</think>\n```\n\nThat is all.", []),
        ("Write:\n```\n</think>", []),
        ("~~~\na\n~~~\n</think>\nHello!", ["unopened"]),
    ],
)
def test_thoughts_without_an_opening_tag_are_noticed(written: str, learnt: list[str]) -> None:
    split(written)
    assert Split([written]).learnt == Split(written).learnt == learnt


@each_case
def test_a_tag_in_code_ends_no_thoughts(case: dict[str, Any]) -> None:
    written = f"{case['text']}\n</think>\nlater"
    assert Split([written]).learnt == Split(written).learnt == ([] if case.get("open") else ["unopened"])


def test_of_a_long_line_with_a_fence_little_is_kept() -> None:
    written = f"```{'a' * 2 * MAX_FENCE_LINE}\n</think>\n"
    assert Split(written).learnt == []
    splitter = ThoughtSplitter()
    splitter.feed(written[: -len("\n</think>\n")])
    assert len(splitter._tail or "") == MAX_FENCE_LINE


@pytest.mark.parametrize(
    ("written", "thoughts", "text"),
    [
        ("Okay.\n</think>\n\nHello!", "Okay.\n", "Hello!"),
        ("Okay.</thinking>Hello!", "Okay.", "Hello!"),
        ("Okay.\n</think>\nUse\n</think>\n.", "Okay.\n", "Use\n</think>\n."),
    ],
)
def test_a_stream_that_starts_open_is_thoughts_up_to_the_end_tag(written: str, thoughts: str, text: str) -> None:
    assert split(written, starts_open=True) == (thoughts, text)
    assert Split([written], starts_open=True).learnt == ["unopened"]


def test_a_stream_that_starts_open_may_have_an_opening_tag() -> None:
    assert split("<think>Okay.</think>Hello!", starts_open=True) == ("Okay.", "Hello!")
    assert Split(["<think>Okay.</think>Hello!"], starts_open=True).learnt == []


def test_what_was_cut_off_before_the_end_tag_is_no_answer_if_it_certainly_starts_open() -> None:
    found = Split(["Hel", "lo</th"], starts_open=True, is_certain=True, is_complete=False)
    assert found.events == [Reasoning(text="Hel"), Reasoning(text="lo"), Reasoning(text="</th")]
    assert Split(["Hello"], starts_open=True, is_certain=True, is_complete=False).events == [Reasoning(text="Hello")]
    assert found.learnt == []


def test_a_stream_that_starts_open_and_has_no_end_tag_is_the_answer() -> None:
    found = Split(["Hel", "lo</th"], starts_open=True)
    assert found.events == [
        Reasoning(text="Hel"),
        Reasoning(text="lo"),
        ReasoningWasAnswer(text="Hello</th"),
    ]
    assert found.learnt == ["answer"]


def test_thoughts_that_were_cut_off_say_nothing_about_later_answers() -> None:
    found = Split(["Hello"], starts_open=True, is_complete=False)
    assert found.joined(ReasoningWasAnswer) == "Hello"
    assert found.learnt == []


@pytest.mark.parametrize("written", ["", " ", "\n"])
def test_white_space_that_starts_open_is_no_answer(written: str) -> None:
    assert Split([written], starts_open=True).events == []
    assert Split(["", *written * MAX_HELD, " "], starts_open=True).joined(ReasoningWasAnswer) == ""


def test_white_space_is_not_held_for_ever() -> None:
    assert Split([" "] * (MAX_HELD + 1)).text == " " * (MAX_HELD + 1)


def test_a_text_may_go_on_after_it_was_flushed() -> None:
    splitter = ThoughtSplitter(starts_open=True)
    assert splitter.feed("Hel") == [Reasoning(text="Hel")]
    assert splitter.flush() == [ReasoningWasAnswer(text="Hel")]
    assert splitter.feed("lo") == [Delta(text="lo")]
    assert splitter.flush() == []


def test_only_text_in_which_no_tag_can_matter_is_transparent() -> None:
    splitter = ThoughtSplitter()
    seen = []
    for piece in ("", "a", "\n", "b", "<", "i>", "</", "\n</thi", "c.", " <think>", "\n"):
        splitter.feed(piece)
        seen.append(splitter.is_transparent)
    assert seen == [False, True, False, True, False, True, True, False, True, True, True]
