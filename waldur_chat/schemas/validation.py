"""Read JSON that a model has written, and say what is wrong with it in words that help the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

MOST_ERRORS = 5
MESSAGE_LENGTH = 300
DEFINITIONS = ("$defs", "definitions")


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
    return next((error.message[:MESSAGE_LENGTH] for error in errors), "")


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
