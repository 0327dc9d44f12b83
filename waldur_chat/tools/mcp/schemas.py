"""The schema of a tool's arguments, as a server gives it, made fit for prompts and for validation here.

A server must not be able to make this process fetch addresses (`$ref`), compute for ever (`pattern`, references without
end), or put special tokens of chat templates into prompts. So only known keywords are kept, references lead to
`$defs` of the same schema, and patterns become words: the server checks them itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from waldur_chat.wire.framing import harmless

DEPTH = 20
MOST_REFERENCES = 1000
BY_NAME = ("properties", "$defs", "definitions", "dependentSchemas")
INNER = ("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else")
LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
PLAIN = (
    "type",
    "required",
    "enum",
    "const",
    "default",
    "examples",
    "format",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "dependentRequired",
)
REFERENCE = re.compile(r"#/(\$defs|definitions)/([\w.-]{1,100})")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_TYPES = ("string", "integer", "boolean")


class UnfitSchema(ValueError):
    """The schema cannot be used. The message says why."""


def fit(schema: Any) -> dict[str, Any]:
    """The schema without what is dangerous. Raises `UnfitSchema`."""
    if not isinstance(schema, Mapping):
        raise UnfitSchema("its inputSchema is no object.")
    made: dict[str, Any] = _fit(schema, schema, DEPTH)
    _check_references(made)
    return {**made, "type": made.get("type", "object")}


def parameter_headers(schema: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The headers that the server wants of arguments (`x-mcp-header`), with the path to each. Raises `UnfitSchema`."""
    found: dict[str, tuple[str, ...]] = {}
    for name, path, kind in _marked(schema, ()):
        if not (isinstance(name, str) and HEADER.fullmatch(name) and kind in HEADER_TYPES):
            raise UnfitSchema(f"the x-mcp-header of {'.'.join(path)} is not valid.")
        if name.lower() in map(str.lower, found):
            raise UnfitSchema(f"the x-mcp-header {name} is there twice.")
        found[name] = path
    if len(found) != _count_marks(schema):
        raise UnfitSchema("an x-mcp-header is where there can be none.")
    return found


def _fit(schema: Any, root: Mapping[str, Any], depth: int) -> Any:
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, Mapping) or not depth:
        raise UnfitSchema("its inputSchema is not valid, or nested too deeply.")
    made: dict[str, Any] = {key: schema[key] for key in PLAIN if key in schema}
    for key in (key for key in BY_NAME if key in schema):
        made[key] = {str(name): _fit(inner, root, depth - 1) for name, inner in _mapping(schema[key]).items()}
    for key in (key for key in INNER if key in schema):
        made[key] = _fit(schema[key], root, depth - 1)
    for key in (key for key in LISTS if isinstance(schema.get(key), list)):
        made[key] = [_fit(inner, root, depth - 1) for inner in schema[key]]
    if words := _words(schema):
        made["description"] = words
    return {**made, **_reference(schema, root)}


def _words(schema: Mapping[str, Any]) -> str:
    """The description, with the pattern."""
    words = [schema["description"]] if isinstance(schema.get("description"), str) else []
    pattern = [f"Pattern: {schema['pattern']}"] if isinstance(schema.get("pattern"), str) else []
    return harmless(" ".join(words + pattern))


def _reference(schema: Mapping[str, Any], root: Mapping[str, Any]) -> dict[str, Any]:
    if "$dynamicRef" in schema or "$recursiveRef" in schema:
        raise UnfitSchema("its inputSchema has a dynamic reference.")
    if "$ref" not in schema:
        return {}
    found = REFERENCE.fullmatch(str(schema["$ref"]))
    if not found or found[2] not in _mapping(root.get(found[1])):
        raise UnfitSchema("its inputSchema has a reference that leads elsewhere than to its own $defs.")
    return {"$ref": found[0]}


def _check_references(root: Mapping[str, Any]) -> None:
    """Refuse references that validation would follow without end, or very often, for one and the same value."""
    at_once = {f"#/{key}/{name}": _at_once(inner) for key in BY_NAME[1:3] for name, inner in root.get(key, {}).items()}
    costs: dict[str, int] = {}

    def cost(reference: str, within: tuple[str, ...] = ()) -> int:
        if reference in within:
            raise UnfitSchema("its inputSchema has a reference without end.")
        if reference not in costs:
            costs[reference] = 1 + sum(cost(one, (*within, reference)) for one in at_once[reference])
        return costs[reference]

    if sum(map(cost, at_once)) > MOST_REFERENCES:
        raise UnfitSchema("its inputSchema has too many references within references.")


def _at_once(schema: Any) -> list[str]:
    """The references that are followed for the same value as the schema itself."""
    if not isinstance(schema, dict):
        return []
    inner = [schema[key] for key in ("not", "if", "then", "else") if key in schema]
    inner += [one for key in ("allOf", "anyOf", "oneOf") for one in schema.get(key, ())]
    inner += schema.get("dependentSchemas", {}).values()
    own = [schema["$ref"]] if "$ref" in schema else []
    return own + [reference for one in inner for reference in _at_once(one)]


def _marked(schema: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[Any, tuple[str, ...], Any]]:
    """The marks that are reached by `properties` alone: name, path and type."""
    found = []
    for name, inner in _mapping(schema.get("properties", {})).items():
        if isinstance(inner, Mapping):
            here = (*path, str(name))
            found += [(inner["x-mcp-header"], here, inner.get("type"))] if "x-mcp-header" in inner else []
            found += _marked(inner, here)
    return found


def _count_marks(value: Any, is_names: bool = False) -> int:
    """All marks in the schema, wherever they are; a property may have this name."""
    if isinstance(value, list):
        return sum(map(_count_marks, value))
    if not isinstance(value, Mapping):
        return 0
    own = 0 if is_names else int("x-mcp-header" in value)
    return own + sum(_count_marks(inner, not is_names and key in BY_NAME) for key, inner in value.items())


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UnfitSchema("its inputSchema is not valid.")
    return value
