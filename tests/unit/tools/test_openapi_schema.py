"""Schemas of OpenAPI as plain and short JSON Schema."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.tools.views.openapi_schema import plain_schema

COMPONENTS: dict[str, Any] = {
    "State": {"enum": ["on", "off"], "type": "string", "description": "Whether it runs."},
    "Hidden": {"type": "string", "readOnly": True},
    "Tree": {"type": "object", "properties": {"child": {"$ref": "#/components/schemas/Tree"}}},
}


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize(
    ("schema", "plain"),
    [
        ({"type": "string", "nullable": True, "title": "A"}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False, "x-own": 1}, {"type": "string"}),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (ref("State"), COMPONENTS["State"]),
        (ref("Missing"), {}),
        (
            {"allOf": [ref("State")], "description": "Its state.", "default": "on"},
            {"enum": ["on", "off"], "type": "string", "default": "on", "description": "Its state."},
        ),
        (
            {"allOf": [ref("State"), {"minLength": 1}]},
            {"allOf": [COMPONENTS["State"], {"minLength": 1}]},
        ),
        (
            {"oneOf": [ref("State")], "nullable": True},
            {"oneOf": [COMPONENTS["State"], {"type": "null"}]},
        ),
        ({"anyOf": [{"type": "null"}], "nullable": True}, {"anyOf": [{"type": "null"}]}),
        ({"type": "array", "items": ref("State")}, {"type": "array", "items": COMPONENTS["State"]}),
        (
            {"type": "object", "additionalProperties": ref("State")},
            {"type": "object", "additionalProperties": COMPONENTS["State"]},
        ),
        ({"type": "object", "additionalProperties": True}, {"type": "object", "additionalProperties": True}),
        (
            {"type": "object", "properties": {"a": {"readOnly": True}, "b": ref("Hidden"), "c": {}}, "required": ["a"]},
            {"type": "object", "properties": {"c": {}}, "required": []},
        ),
        (ref("Tree"), {"type": "object", "properties": {"child": {}}}),
    ],
)
def test_it_is_plain(schema: dict[str, Any], plain: dict[str, Any]) -> None:
    assert plain_schema(schema, COMPONENTS) == plain


def test_descriptions_are_cut_to_one_line() -> None:
    found = plain_schema({"type": "string"}, {}, "many\n words " * 100)["description"]
    assert found.startswith("many words many words")
    assert len(found) == 200
