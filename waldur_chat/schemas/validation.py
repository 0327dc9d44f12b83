"""Read JSON that a model has written, and say what is wrong with it in words that help the model."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

MOST_ERRORS = 5
MESSAGE_LENGTH = 300
DEFINITIONS = ("$defs", "definitions")
VALUES = ("const", "default", "enum", "examples")
"""Keywords whose value is no schema."""


def read_json(text: str) -> Any:
    """The value of this JSON. Raises `ValueError` for what is no JSON, and what no database could store."""
    try:
        value = json.loads(text, parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(str(error)[:MESSAGE_LENGTH]) from error
    return value


def errors_of(schema: Mapping[str, Any], value: Any) -> str:
    """What does not fit the schema, at most `MOST_ERRORS` of it; empty if the value fits."""
    errors = sorted(_validator(schema).iter_errors(value), key=lambda error: list(map(str, error.path)))
    return " ".join(map(_words, errors[:MOST_ERRORS]))


def fits(schema: Any, value: Any) -> bool:
    """Whether the value fits the schema."""
    return bool(_validator(schema).is_valid(value))


def without_nulls(schema: Any, value: Any, root: Any = None) -> Any:
    """The value without what is null in an object although its schema takes no null there.

    Models write null for what they leave out. `root` is the schema that the definitions of this one are in.
    """
    root = schema if root is None else root
    if not isinstance(schema, Mapping):  # True and False are schemas, too.
        return value
    if isinstance(value, list):
        return [without_nulls(schema.get("items"), one, root) for one in value]
    if not isinstance(value, dict):
        return value
    properties = schema.get("properties", {})
    return {
        name: without_nulls(properties.get(name), one, root)
        for name, one in value.items()
        if one is not None or name not in properties or fits(_within(root, properties[name]), None)
    }


def problem_of(schema: Mapping[str, Any]) -> str:
    """Why this is no JSON Schema; empty if it is one. Raises `TypeError` and `ValueError` for what is no JSON."""
    return _problem_of(json.dumps(dict(schema), default=dict))


@lru_cache(maxsize=512)
def _problem_of(schema: str) -> str:
    """The same of a schema as JSON. Kept, since that takes milliseconds, and each turn asks for it."""
    validator = _validator(json.loads(schema))
    errors = type(validator)(validator.META_SCHEMA).iter_errors(validator.schema)
    message = next((error.message for error in errors), "") or _first_unusable(validator.schema)
    return message[:MESSAGE_LENGTH]


def _first_unusable(schema: Any) -> str:
    """What would fail only when a value is compared with the schema: references and patterns; empty for nothing."""
    try:
        problem = next(_unusable(schema, schema), "")
        if not problem:
            fits(schema, None)
    except RecursionError:
        return "It refers to itself without an end."
    return problem


def _unusable(part: Any, root: Any) -> Iterator[str]:
    if isinstance(part, list):
        for one in part:
            yield from _unusable(one, root)
    if not isinstance(part, dict):
        return
    reference, patterns = part.get("$ref"), [*part.get("patternProperties", {}), part.get("pattern")]
    if isinstance(reference, str) and not _is_within(reference, root):
        yield f"{reference!r} is not in it. References must be of the kind '#/$defs/NAME'."
    for pattern in patterns:
        try:
            re.compile(pattern if isinstance(pattern, str) else "")
        except re.error as error:
            yield f"{pattern!r} is no pattern: {error}."
    for name, one in part.items():
        if name not in VALUES:
            yield from _unusable(one, root)


def _is_within(reference: str, root: Any) -> bool:
    """Whether a reference is a JSON pointer to a part of the schema (RFC 6901)."""
    start, *names = unquote(reference).split("/")
    for name in names:
        key = name.replace("~1", "/").replace("~0", "~")
        is_index = isinstance(root, list) and key.isdecimal() and int(key) < len(root)
        if not is_index and not (isinstance(root, dict) and key in root):
            return False
        root = root[int(key) if is_index else key]
    return start == "#"


def _within(root: Any, schema: Any) -> Any:
    """A part of a schema, with the definitions to which it may refer."""
    if not (isinstance(root, Mapping) and isinstance(schema, Mapping)):
        return schema
    return {**{name: root[name] for name in DEFINITIONS if name in root}, **schema}


def _validator(schema: Any) -> Any:
    from jsonschema import Draft202012Validator  # Most turns do not need it, and it takes long to import.

    return Draft202012Validator(dict(schema) if isinstance(schema, Mapping) else schema)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON.")


def _words(error: Any) -> str:
    place = ".".join(map(str, error.path))
    message = error.message if len(error.message) <= MESSAGE_LENGTH else f"{error.message[:MESSAGE_LENGTH]}…"
    return f"{place}: {message}." if place else f"{message}."
