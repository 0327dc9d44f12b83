"""Dataclasses as schemas, and the value that the text of an answer holds."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass, field, replace
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Optional

import pytest

from tests.unit.aio import PROMPT
from waldur_chat.messages import Message, Prompt
from waldur_chat.schemas.answers import UnfitAnswer, form_of, without_schema
from waldur_chat.schemas.type_hints import read
from waldur_chat.schemas.validation import without_nulls


class Level(Enum):
    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class Part:
    name: str
    price: Decimal = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """What a ticket is about."""

    title: Annotated[str, "In five words."]
    level: Level
    kind: Literal["bug", "wish"] = "bug"
    due: date | None = None
    parts: tuple[Part, ...] = ()
    first: Optional[Part] = None  # noqa: UP045  # Another class.
    sizes: dict[str, Part] = field(default_factory=dict)
    length: int = field(init=False, default=0)


PART = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "price": {"type": ["number", "string"]}},
    "required": ["name"],
    "additionalProperties": False,
}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def test_a_dataclass_is_an_object_with_its_fields() -> None:
    assert form_of(Ticket).schema == {
        "type": "object",
        "description": "What a ticket is about.",
        "properties": {
            "title": {"type": "string", "description": "In five words."},
            "level": {"enum": ["low", "high"]},
            "kind": {"enum": ["bug", "wish"]},
            "due": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
            "parts": {"type": "array", "items": PART},
            "first": {"anyOf": [PART, {"type": "null"}]},
            "sizes": {"type": "object", "additionalProperties": PART},
        },
        "required": ["title", "level"],
        "additionalProperties": False,
    }


def test_the_value_is_an_instance_with_instances() -> None:
    text = """{"title": "a", "level": "high", "due": "2026-11-30", "parts": [{"name": "x", "price": 1.5}],
               "first": {"name": "y"}, "sizes": {"s": {"name": "z"}}}"""
    assert form_of(Ticket).read(text) == Ticket(
        title="a",
        level=Level.HIGH,
        due=date(2026, 11, 30),
        parts=(Part("x", Decimal("1.5")),),
        first=Part("y"),
        sizes={"s": Part("z")},
    )


@dataclass
class Loop:
    inner: list[Loop]


@dataclass
class Bytes:
    inner: bytes


@dataclass
class Setup:
    name: str
    extra: InitVar[int]


@dataclass
class Positive:
    number: int

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError("It must be above 0.")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Loop, "Loop contains itself"),
        (Bytes, "bytes'> has no JSON Schema"),
        (Setup, "Setup: extra is no field"),
        (str, "schema must be a dict"),
        (Part("x"), "schema must be a dict"),
    ],
)
def test_what_has_no_schema_is_refused(kind: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        form_of(kind)


@pytest.mark.parametrize("hint", [tuple[int, str], dict[int, str], set[int], [int]])
def test_types_that_json_cannot_tell_are_refused(hint: Any) -> None:
    with pytest.raises(TypeError, match="has no JSON Schema"):
        read(hint)


def test_a_schema_that_is_not_valid_is_refused() -> None:
    with pytest.raises(ValueError, match="schema is no JSON Schema: 'strng' is not valid"):
        form_of({"type": "strng"})


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "'#/$defs/b' is not in it"),
        ({"anyOf": [{"$ref": "#/anyOf/1"}]}, "'#/anyOf/1' is not in it"),
        ({"$ref": "https://example.com/schema"}, "References must be of the kind"),
        ({"items": {"pattern": "a("}}, "'a(' is no pattern: missing"),
        ({"patternProperties": {"[": True}}, "'[' is no pattern"),
        ({"$ref": "#"}, "It refers to itself without an end."),
    ],
)
def test_what_would_fail_only_with_an_answer_is_refused_before(schema: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=f"schema is no JSON Schema: .*{re.escape(problem)}"):
        form_of(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"a/b": {"type": "string"}}, "properties": {"a": {"$ref": "#/$defs/a~1b"}}},
        {"anyOf": [{"$ref": "#/anyOf/1"}, {"type": "string"}]},
        {"properties": {"pattern": {"type": "string"}, "$ref": {"enum": [{"$ref": "none", "pattern": "("}]}}},
        {"properties": {"next": {"$ref": "#"}}},
    ],
)
def test_references_within_a_schema_are_followed(schema: Any) -> None:
    assert form_of(schema).schema == schema


@pytest.mark.parametrize(
    "text",
    [
        '{"city": "Riga"}',
        ' \n{"city": "Riga"}\n',
        '```json\n{"city": "Riga"}\n```',
        'Here you are:\n\n```\n{"city":\n "Riga"}\n```\nAnything else?',
        '~~~json\r\n{"city": "Riga"}\r\n~~~',
        '```json\n{"city": "Riga"}',
        '```sh\nls\n```\n\n```json\n{"city": "Riga"}\n```',
    ],
)
def test_json_is_found_alone_and_in_fences(text: str) -> None:
    assert form_of(CITY).read(text) == {"city": "Riga"}


@pytest.mark.parametrize(
    ("schema", "text", "words"),
    [
        (CITY, "Riga", "It is not valid JSON: Expecting value"),
        (CITY, "```json\nRiga\n```", "It is not valid JSON: Expecting value"),
        (CITY, '{"city": NaN}', "NaN is no number in JSON"),
        (CITY, '```\n{"town": "Riga"}\n```', "'city' is a required property."),
        (Positive, '{"number": 0}', "It must be above 0."),
        (Ticket, '{"title": "a", "level": "high", "due": "soon"}', "due: 'soon' is none of the types."),
        (Ticket, '{"title": "a", "level": "high", "parts": [{"name": "x", "price": "y"}]}', "parts: 0: price: "),
    ],
)
def test_what_does_not_fit_is_said_in_words(schema: Any, text: str, words: str) -> None:
    with pytest.raises(UnfitAnswer) as caught:
        form_of(schema).read(text)
    assert words in str(caught.value)


def test_null_is_left_out_where_the_schema_has_none() -> None:
    assert form_of(Ticket).read('{"title": "a", "level": "low", "kind": null, "due": null}').kind == "bug"
    schema = {
        "$defs": {"city": {"type": "string"}},
        "type": "object",
        "properties": {"city": {"$ref": "#/$defs/city"}, "any": True, "list": {"items": CITY}},
    }
    given = {"city": None, "any": None, "other": None, "list": [{"city": None}]}
    assert without_nulls(schema, given) == {"any": None, "other": None, "list": [{}]}


def test_a_prompt_without_a_schema_stays_as_it_is() -> None:
    assert without_schema(PROMPT) is PROMPT


def test_the_system_prompt_says_the_schema_in_words() -> None:
    told = without_schema(replace(PROMPT, answer_schema=CITY))
    assert told.messages[0].text.startswith("Be kind.\n\nAnswer with one JSON value")
    assert told.messages[1:] == PROMPT.messages[1:]
    assert told.answer_schema is None


def test_a_prompt_without_a_system_prompt_gets_one() -> None:
    question = Message(role="user", text="Where?")
    first, last = without_schema(Prompt(messages=(question,), answer_schema=CITY)).messages
    assert (first.role, last) == ("system", question)


def test_a_schema_counts_among_the_tokens_of_a_prompt() -> None:
    assert replace(PROMPT, answer_schema=CITY).counted[-1].text == f"[{str(CITY).replace(chr(39), chr(34))}]"
