"""Parameters of an operation as one JSON Schema: path, query and body side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rest_framework.settings import api_settings

from waldur_chat.tools.views.openapi_schema import plain_schema
from waldur_chat.tools.views.operation import Operation

Place = Literal["path", "query", "body", "whole_body"]

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Where an argument goes: its place, and its name there. `joins` says that a list is sent with commas."""

    place: Place
    name: str
    schema: Mapping[str, Any]
    is_required: bool = False
    joins: bool = False


def parameters_of(operation: Operation) -> dict[str, Parameter]:
    """The parameters by the names of the arguments. If two have the same name, the later gets its place before it."""
    found: dict[str, Parameter] = {}
    for parameter in (*_path_and_query(operation), *_body(operation)):
        name = parameter.name if parameter.name not in found else f"{parameter.place}_{parameter.name}"
        found[name] = parameter
    for documented, in_url in operation.path_names.items():
        if documented in found and found[documented].place == "path":
            one = found[documented]
            found[documented] = Parameter(place="path", name=in_url, schema=one.schema, is_required=True)
    return found


def schema_of(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """The JSON Schema of the arguments."""
    return {
        "type": "object",
        "properties": {name: dict(parameter.schema) for name, parameter in parameters.items()},
        "required": [name for name, parameter in parameters.items() if parameter.is_required],
        "additionalProperties": False,
    }


def takes_json(operation: Operation) -> bool:
    """Whether the operation has no body, or takes it as JSON."""
    content = operation.described.get("requestBody", {}).get("content", {})
    return not content or any(map(is_json, content))


def is_json(media_type: str) -> bool:
    """Whether this is a media type of JSON."""
    kind = media_type.partition(";")[0].strip().lower()
    return kind == JSON or kind.endswith("+json")


def _path_and_query(operation: Operation) -> Iterator[Parameter]:
    fixed = (*operation.fixed_values, api_settings.URL_FORMAT_OVERRIDE)
    by_place = sorted(operation.described.get("parameters", ()), key=lambda one: str(one.get("in")))
    for one in by_place:
        if one.get("in") in ("path", "query") and one["name"] not in fixed:
            schema = plain_schema(one.get("schema", {}), operation.components, one.get("description", ""))
            is_list = schema.get("type") == "array"
            yield Parameter(
                place=one["in"],
                name=one["name"],
                schema=schema,
                is_required=one["in"] == "path" or bool(one.get("required")),
                joins=is_list and one.get("explode") is False,
            )


def _body(operation: Operation) -> Iterator[Parameter]:
    """The fields of the body; a body that is no object is one argument."""
    body = operation.described.get("requestBody", {})
    content = next((inner for kind, inner in body.get("content", {}).items() if is_json(kind)), None)
    if content is None:
        return
    schema = plain_schema(content.get("schema", {}), operation.components)
    if "properties" not in schema:
        yield Parameter(place="whole_body", name="body", schema=schema, is_required=bool(body.get("required")))
        return
    for name, inner in schema["properties"].items():
        is_required = name in schema.get("required", ())
        yield Parameter(place="body", name=name, schema=inner, is_required=is_required)
