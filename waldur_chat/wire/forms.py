"""A form of `ask_user` in words, for formats that have no blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from waldur_chat.events import Event, ToolAnswered

FORM = "ask_user_form"


def form_text(event: Event) -> str:
    """What the form of a result asks for, a line for each question; empty if the event has none."""
    if not isinstance(event, ToolAnswered) or event.block.get("key") != FORM:
        return ""
    return "\n".join(filter(None, [_line(event.block.get("context")), *_questions(event.block)]))


def _questions(block: Mapping[str, Any]) -> Iterator[str]:
    for question in _objects(block.get("questions")):
        options = ", ".join(_line(option.get("label")) for option in _objects(question.get("options")))
        yield f"- {_line(question.get('question'))}" + (f" ({options})" if options else "")


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list. A tool of the site may make forms of its own, with anything in them."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _line(value: Any) -> str:
    return " ".join(str(value or "").split())
