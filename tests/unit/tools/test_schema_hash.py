"""Whether a tool is called as it was when the user saw the call."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.turns.tools.schema_hash import schema_hash

NAME = {"type": "string", "description": "How it is called.", "maxLength": 50}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Project",
    "description": "A project.",
    "properties": {"name": NAME, "description": {"type": "string"}, "kind": {"anyOf": [NAME, {"enum": ["a", "b"]}]}},
    "required": ["name"],
}


def with_property(name: str, schema: Any) -> dict[str, Any]:
    return {**SCHEMA, "properties": {**SCHEMA["properties"], name: schema}}


@pytest.mark.parametrize(
    "translated",
    [
        {**SCHEMA, "title": "Projekt", "description": "Ein Projekt."},
        with_property("name", {**NAME, "description": "Wie es heißt."}),
        with_property("kind", {"anyOf": [{**NAME, "description": "Wie es heißt."}, {"enum": ["a", "b"]}]}),
    ],
)
def test_words_in_another_language_are_the_same_call(translated: dict[str, Any]) -> None:
    assert schema_hash(translated) == schema_hash(SCHEMA)


@pytest.mark.parametrize(
    "changed",
    [
        {**SCHEMA, "required": []},
        with_property("name", {**NAME, "maxLength": 20}),
        with_property("description", {"type": "integer"}),
        with_property("kind", {"anyOf": [NAME, {"enum": ["a", "c"]}]}),
        with_property("kind", {"const": {"description": "a"}}),
        {name: value for name, value in SCHEMA.items() if name != "properties"},
    ],
)
def test_other_arguments_are_another_call(changed: dict[str, Any]) -> None:
    assert schema_hash(changed) != schema_hash(SCHEMA)


def test_an_argument_of_any_name_counts() -> None:
    without = {name: one for name, one in SCHEMA["properties"].items() if name != "description"}
    assert schema_hash({**SCHEMA, "properties": without}) != schema_hash(SCHEMA)


def test_values_are_not_read_as_schemas() -> None:
    assert schema_hash({"const": {"title": "a"}}) != schema_hash({"const": {"title": "b"}})
