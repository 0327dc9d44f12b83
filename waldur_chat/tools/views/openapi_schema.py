"""Schemas of OpenAPI 3.0 as plain JSON Schema, short enough for a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DESCRIPTION_LENGTH = 200
REFERENCE = "#/components/schemas/"
LEFT_OUT = (
    "title",
    "example",
    "examples",
    "xml",
    "externalDocs",
    "discriminator",
    "deprecated",
    "writeOnly",
    "readOnly",
)


def plain_schema(
    schema: Mapping[str, Any], components: Mapping[str, Any], description: str = "", within: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The schema without references, nor fields that only responses have; null is a type of its own.

    A component that contains itself ends in a schema that everything fits.
    """
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(REFERENCE)
        target = {} if name in within or name not in components else components[name]
        return plain_schema(target, components, description, (*within, name))
    plain = {name: value for name, value in schema.items() if name not in LEFT_OUT and not name.startswith("x-")}
    if len(plain.get("allOf", ())) == 1:
        plain = {**plain_schema(plain.pop("allOf")[0], components, "", within), **plain}
    _make_inner_plain(plain, components, within)
    _set_null(plain)
    _set_description(plain, description or schema.get("description", ""))
    return plain


def _make_inner_plain(plain: dict[str, Any], components: Mapping[str, Any], within: tuple[str, ...]) -> None:
    if "properties" in plain:
        shown = {name: inner for name, inner in plain["properties"].items() if not _is_read_only(inner, components)}
        plain["properties"] = {name: plain_schema(inner, components, "", within) for name, inner in shown.items()}
        if "required" in plain:
            plain["required"] = [name for name in plain["required"] if name in shown]
    for key in ("items", "additionalProperties", "not"):
        if isinstance(plain.get(key), Mapping):
            plain[key] = plain_schema(plain[key], components, "", within)
    for key in ("oneOf", "anyOf", "allOf"):
        if key in plain:
            plain[key] = [plain_schema(inner, components, "", within) for inner in plain[key]]


def _is_read_only(schema: Mapping[str, Any], components: Mapping[str, Any]) -> bool:
    if "$ref" in schema:
        schema = components.get(str(schema["$ref"]).removeprefix(REFERENCE), {})
    return bool(schema.get("readOnly"))


def _set_null(plain: dict[str, Any]) -> None:
    """Turn OpenAPI's `nullable` into a type. An enum lists its values, so it lists null too."""
    if not plain.pop("nullable", False):
        return
    if "enum" in plain and None not in plain["enum"]:
        plain["enum"] = [*plain["enum"], None]
    if isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    for key in ("oneOf", "anyOf"):
        if key in plain and {"type": "null"} not in plain[key]:
            plain[key] = [*plain[key], {"type": "null"}]


def _set_description(plain: dict[str, Any], description: str) -> None:
    """Keep the beginning of the description, on one line."""
    plain.pop("description", None)
    words = " ".join(str(description).split())
    if words:
        plain["description"] = words if len(words) <= DESCRIPTION_LENGTH else f"{words[: DESCRIPTION_LENGTH - 1]}…"
