"""A hash of how a tool is called: a call that was approved runs only if that is as it was when the user saw it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

WORDS = ("title", "description")
"""What a schema says to people: views say it in the language of the request."""

BY_NAME = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")
"""Keys of schemas by names, which may be any."""

VALUES = ("enum", "const", "default")


def schema_hash(schema: Mapping[str, Any]) -> str:
    """A hash of a JSON Schema, which differs if other arguments fit it, but not if its words differ."""
    return sha256(json.dumps(_rules(schema), sort_keys=True, default=str).encode()).hexdigest()


def _rules(schema: Any) -> Any:
    if isinstance(schema, (list, tuple)):
        return [_rules(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {key: _rules_at(key, value) for key, value in schema.items() if key not in WORDS}


def _rules_at(key: str, value: Any) -> Any:
    if key in VALUES:
        return value
    if key in BY_NAME and isinstance(value, Mapping):
        return {name: _rules(inner) for name, inner in value.items()}
    return _rules(value)
