"""The fields of what a view answers, as far as its documentation says them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waldur_chat.tools.views.openapi_schema import REFERENCE
from waldur_chat.tools.views.operation import Operation

PAGE = "results"
"""The rows of a page of DRF's."""


def answer_fields(operation: Operation) -> frozenset[str]:
    """The fields of the object, or of each row of the list; empty if that is not documented."""
    answers = [answer for status, answer in operation.described.get("responses", {}).items() if status[:1] == "2"]
    contents = [content for answer in answers for content in answer.get("content", {}).values()]
    schemas = [_row(content.get("schema", {}), operation.components) for content in contents]
    if not all(schema.get("properties") and not schema.get("additionalProperties") for schema in schemas):
        return frozenset()
    return frozenset(name for schema in schemas for name in schema["properties"])


def _row(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = _resolved(schema, components)
    rows = schema.get("properties", {}).get(PAGE, schema)
    return _resolved(_resolved(rows, components).get("items", schema), components)


def _resolved(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    name = str(schema.get("$ref", "")).removeprefix(REFERENCE)
    found: Mapping[str, Any] = components.get(name, schema)
    return found
