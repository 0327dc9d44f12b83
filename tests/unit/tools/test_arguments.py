"""Arguments as models write them."""

from __future__ import annotations

from typing import Any

import pytest

from waldur_chat.tools.arguments import InvalidArguments, parse

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "size": {"type": ["integer", "null"]},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name"],
    "additionalProperties": False,
}
NOTHING = {"type": "object", "properties": {}}


@pytest.mark.parametrize("text", ["", "  ", "null", "{}"])
def test_nothing_is_no_arguments(text: str) -> None:
    assert parse(NOTHING, text) == {}


def test_null_is_left_out_where_the_schema_has_none() -> None:
    assert parse(SCHEMA, '{"name": "a", "size": null, "tags": null}') == {"name": "a", "size": None}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "The arguments are not valid JSON: "),
        ('{"name": NaN}', "NaN is no number in JSON."),
        ('{"name": "\\ud800"}', "The arguments are not valid JSON: 'utf-8' codec can't encode"),
        ("[" * 100_000, "The arguments are not valid JSON: "),
        ("[]", "The arguments must be a JSON object."),
        ('"x"', "The arguments must be a JSON object."),
        ("{}", "'name' is a required property."),
        ('{"name": null}', "'name' is a required property."),
        ('{"name": "a", "nmae": "b"}', "Additional properties are not allowed ('nmae' was unexpected)."),
        ('{"name": "a", "nmae": null}', "Additional properties are not allowed ('nmae' was unexpected)."),
        ('{"name": "a", "tags": ["x", 7]}', "tags.1: 7 is not of type 'string'."),
        ('{"name": 1, "size": "x"}', "name: 1 is not of type 'string'. size: 'x' is not of type 'integer', 'null'."),
    ],
)
def test_wrong_ones_are_explained(text: str, words: str) -> None:
    with pytest.raises(InvalidArguments) as caught:
        parse(SCHEMA, text)
    assert words in str(caught.value)


def test_the_explanation_is_short() -> None:
    with pytest.raises(InvalidArguments) as caught:
        parse(SCHEMA, f'{{"name": "{"x" * 10_000}"}}')
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("schema", [{"$ref": "#/$defs/gone"}, {"$ref": "#/properties/name"}])
def test_a_schema_that_leads_nowhere_is_told(schema: dict[str, str]) -> None:
    properties = {"name": {"allOf": [schema, {"type": "string"}]}}
    with pytest.raises(InvalidArguments):
        parse({"type": "object", "properties": properties}, '{"name": "a"}')
