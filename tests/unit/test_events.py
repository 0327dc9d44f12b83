"""Events and messages are values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, is_dataclass
from typing import Any, get_args

import pytest

from waldur_chat.events import Event, ProviderEvent, Terminal, Usage
from waldur_chat.messages import Call, Message, Prompt, ToolSpec

VALUES = sorted(
    {*get_args(Event), *get_args(ProviderEvent), Message, Call, ToolSpec, Prompt}, key=lambda one: str(one.__name__)
)


def make(value: type[Any]) -> Any:
    return value(**{one.name: "x" for one in fields(value)})


@pytest.mark.parametrize("value", VALUES)
def test_values_compare_by_what_they_hold(value: type[Any]) -> None:
    assert is_dataclass(value)
    assert make(value) == make(value)


@pytest.mark.parametrize("value", VALUES)
def test_values_do_not_change(value: type[Any]) -> None:
    with pytest.raises((FrozenInstanceError, TypeError)):  # The latter where there is no field at all.
        setattr(make(value), next((one.name for one in fields(value)), "text"), "other")


@pytest.mark.parametrize("value", VALUES)
def test_values_are_slotted(value: type[Any]) -> None:
    assert not hasattr(make(value), "__dict__")


@pytest.mark.parametrize("value", VALUES)
def test_values_take_keywords_only(value: type[Any]) -> None:
    with pytest.raises(TypeError, match="positional"):
        value("x")


def test_the_terminal_events_are_events() -> None:
    assert set(get_args(Terminal)) < set(get_args(Event))


def test_usage_never_reaches_the_reader_by_itself() -> None:
    assert Usage not in get_args(Event)


def test_the_question_is_the_last_message() -> None:
    prompt = Prompt(messages=(Message(role="system", text="Be kind."), Message(role="user", text="Why?")))
    assert prompt.question == "Why?"
