"""Read and validate the arguments of a call, which a model has written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waldur_chat.schemas.validation import errors_of, problem_of, read_json, without_nulls

UNUSABLE = "The arguments cannot be validated by the schema of this tool"


class InvalidArguments(ValueError):
    """The arguments do not fit the schema. The message tells the model why."""


def parse(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The arguments as a dict. Empty text means none. Raises `InvalidArguments`."""
    arguments = _read(text) if text.strip() else {}
    if arguments is None:
        return validated(schema, {})
    if not isinstance(arguments, dict):
        raise InvalidArguments("The arguments must be a JSON object.")
    return validated(schema, arguments)


def validated(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, if they fit the schema. Raises `InvalidArguments`.

    Models write null for what they leave out. It is taken so where the schema has no null.
    """
    try:
        given: dict[str, Any] = without_nulls(schema, dict(arguments))
        errors = errors_of(schema, given)
    except Exception as error:  # The schema refers to what is not there, or to itself.
        raise InvalidArguments(f"{UNUSABLE}: {type(error).__name__}.") from error
    if errors:
        raise InvalidArguments(errors)
    return given


def schema_problem(schema: Any) -> str:
    """Why this is no schema of arguments; empty if it is one."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return "its schema must be a JSON Schema of the type object."
    problem = problem_of(schema)
    return f"its schema is not valid: {problem}" if problem else ""


def _read(text: str) -> Any:
    try:
        return read_json(text)
    except ValueError as error:
        raise InvalidArguments(f"The arguments are not valid JSON: {error}") from error
