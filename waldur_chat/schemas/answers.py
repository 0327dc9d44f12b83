"""The form that an answer must have, and the value that its text holds."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from waldur_chat.messages import Message, Prompt
from waldur_chat.schemas.type_hints import Convert, read_dataclass
from waldur_chat.schemas.validation import errors_of, problem_of, read_json, without_nulls
from waldur_chat.wire import fences

INSTRUCTIONS = (
    "Answer with one JSON value that fits the JSON Schema below, and with nothing else: no introduction, no code fence."
    "\n\n{schema}"
)
"""What a model is told that cannot be given a schema in another way. For the model, so it is not translated."""

CORRECTION = (
    "You have answered this before, but not in the form that is wanted. Your answer was:\n\n{text}\n\n"
    "What is wrong: {problem}\n\nAnswer again. {instructions}"
)
"""What follows the question when it is asked again."""

TEXT_LENGTH = 16_000
"""The most characters of an earlier answer that the model is told again."""

NO_JSON = "It is not valid JSON: {error}"


class UnfitAnswer(ValueError):
    """The text does not hold a value that fits. The message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """A JSON Schema, and what makes the value from JSON that fits it."""

    schema: Mapping[str, Any]
    convert: Convert

    def read(self, text: str) -> Any:
        """The value that the text holds: all of it, or what is in a fence of code. Raises `UnfitAnswer`."""
        value = without_nulls(self.schema, _json_in(text))
        if errors := errors_of(self.schema, value):
            raise UnfitAnswer(errors)
        try:
            return self.convert(value)
        except (ArithmeticError, TypeError, ValueError) as error:
            raise UnfitAnswer(str(error)) from error

    def correction(self, text: str, problem: str) -> str:
        """What to tell the model of an earlier answer with this text and this problem."""
        return CORRECTION.format(text=text[:TEXT_LENGTH], problem=problem, instructions=instructions(self.schema))


def form_of(schema: Any) -> AnswerForm:
    """The form of this JSON Schema or dataclass.

    Raises `TypeError` for anything else and for a dataclass that has no schema, `ValueError` for a schema that is not
    valid.
    """
    if isinstance(schema, type) and is_dataclass(schema):
        hint = read_dataclass(schema)
        return AnswerForm(schema=hint.schema, convert=hint.convert)
    if not isinstance(schema, Mapping):
        raise TypeError("schema must be a dict, which is a JSON Schema, or a dataclass.")
    if problem := problem_of(schema):
        raise ValueError(f"schema is no JSON Schema: {problem}")
    return AnswerForm(schema=schema, convert=_same)


def instructions(schema: Mapping[str, Any]) -> str:
    """The schema in words for a model."""
    return INSTRUCTIONS.format(schema=json.dumps(schema, ensure_ascii=False, default=dict))


def without_schema(prompt: Prompt) -> Prompt:
    """The prompt for a model that takes no schema: its system prompt says what to answer."""
    if prompt.answer_schema is None:
        return prompt
    words = instructions(prompt.answer_schema)
    first, *others = prompt.messages
    if first.role != "system":
        return replace(prompt, messages=(Message(role="system", text=words), *prompt.messages), answer_schema=None)
    return replace(prompt, messages=(replace(first, text=f"{first.text}\n\n{words}"), *others), answer_schema=None)


def _json_in(text: str) -> Any:
    """The value of the text, or else of the first fence of code that holds JSON."""
    problem: ValueError | None = None
    for part in (text, *_fenced(text)):
        try:
            return read_json(part)
        except ValueError as error:
            problem = problem or error
    raise UnfitAnswer(NO_JSON.format(error=problem)) from problem


def _fenced(text: str) -> Iterator[str]:
    """The contents of the fences of code, in their order. One that is not closed ends with the text."""
    fence: fences.Fence | None = None
    inside: list[str] = []
    for line in re.split(r"\r?\n", text):
        before, fence = fence, fences.after(fence, line)
        if before and fence:
            inside.append(line)
        elif before:
            yield "\n".join(inside)
            inside.clear()
    if inside:
        yield "\n".join(inside)


def _same(value: Any) -> Any:
    return value
