"""From Python's type hints to JSON Schema, and from JSON values back to what the hints say."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from dataclasses import Field as DataclassField
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from waldur_chat.schemas.validation import fits

Convert = Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Hint:
    """The schema of a type, and the function that makes a value of it from JSON."""

    schema: Mapping[str, Any]
    convert: Convert = _same


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not know the Z.


PLAIN: dict[Any, Hint] = {
    str: Hint({"type": "string"}),
    int: Hint({"type": "integer"}, int),
    float: Hint({"type": "number"}, float),
    bool: Hint({"type": "boolean"}),
    type(None): Hint({"type": "null"}),
    UUID: Hint({"type": "string", "format": "uuid"}, UUID),
    date: Hint({"type": "string", "format": "date"}, date.fromisoformat),
    datetime: Hint({"type": "string", "format": "date-time"}, _time),
    Decimal: Hint({"type": ["number", "string"]}, lambda value: Decimal(str(value))),
    dict: Hint({"type": "object"}),
    list: Hint({"type": "array"}),
    Any: Hint({}),
}


def read(annotation: Any, within: tuple[type, ...] = ()) -> Hint:
    """The hint for an annotation. Raises `TypeError` for a type without a schema.

    `within` are the dataclasses of which it is a part.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is None:
        return _class(annotation, within)
    if origin is Annotated:
        return _described(read(inner[0], within), inner[1:])
    if origin is Literal:
        return Hint({"enum": list(inner)})
    if origin in (Union, types.UnionType):
        return _union([read(one, within) for one in inner])
    if origin in (list, Sequence) or (origin is tuple and inner[1:] == (...,)):
        return _many(read(inner[0], within), tuple if origin is tuple else list)
    if origin in (dict, Mapping) and inner[0] in (str, Any):
        return _mapping(read(inner[1], within))
    raise _no_schema(annotation)


def read_dataclass(kind: type, within: tuple[type, ...] = ()) -> Hint:
    """The hint for a dataclass: an object with the fields as properties. Raises `TypeError`, as `read()` does."""
    if kind in within:
        raise TypeError(f"{kind.__name__} contains itself, which JSON Schema without references cannot say.")
    given = [field for field in fields(kind) if field.init]
    for name in inspect.signature(kind).parameters.keys() - {field.name for field in given}:
        raise TypeError(f"{kind.__name__}: {name} is no field, so no value can be made from JSON.")
    types_of = get_type_hints(kind, include_extras=True)
    hints = {field.name: read(types_of[field.name], (*within, kind)) for field in given}
    return Hint(
        {
            "type": "object",
            **_documentation(kind),
            "properties": {name: dict(hint.schema) for name, hint in hints.items()},
            "required": [field.name for field in given if _is_required(field)],
            "additionalProperties": False,
        },
        lambda value: kind(**{name: _at(name, hints[name], one) for name, one in value.items()}),
    )


def _class(kind: Any, within: tuple[type, ...]) -> Hint:
    if isinstance(kind, type) and is_dataclass(kind):
        return read_dataclass(kind, within)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Hint({"enum": [member.value for member in kind]}, kind)
    try:
        return PLAIN[kind]
    except (KeyError, TypeError) as error:  # TypeError: it has no hash.
        raise _no_schema(kind) from error


def _no_schema(annotation: Any) -> TypeError:
    return TypeError(f"{annotation!r} has no JSON Schema: use plain types, dataclasses, Literal, Enum, list or dict.")


def _documentation(kind: type) -> dict[str, str]:
    """The docstring, unless it is the one that dataclasses get by themselves."""
    text = inspect.cleandoc(kind.__doc__ or "")
    return {} if not text or text.startswith(f"{kind.__name__}(") else {"description": text}


def _is_required(field: DataclassField[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _at(place: object, hint: Hint, value: Any) -> Any:
    """Convert a part. Errors say where it is."""
    try:
        return hint.convert(value)
    except (ArithmeticError, TypeError, ValueError) as error:
        raise ValueError(f"{place}: {str(error) or repr(value)}") from error


def _described(hint: Hint, notes: Sequence[Any]) -> Hint:
    words = " ".join(note for note in notes if isinstance(note, str))
    return Hint({**hint.schema, "description": words}, hint.convert) if words else hint


def _many(hint: Hint, kind: Callable[[list[Any]], Any]) -> Hint:
    return Hint(
        {"type": "array", "items": dict(hint.schema)},
        lambda values: kind([_at(index, hint, value) for index, value in enumerate(values)]),
    )


def _mapping(hint: Hint) -> Hint:
    return Hint(
        {"type": "object", "additionalProperties": dict(hint.schema)},
        lambda values: {name: _at(name, hint, value) for name, value in values.items()},
    )


def _union(hints: Sequence[Hint]) -> Hint:
    """Any of these. The first whose schema the value fits, and that can be made of it, is taken."""

    def convert(value: Any) -> Any:
        for hint in hints:
            if fits(hint.schema, value):
                try:
                    return hint.convert(value)
                except (ArithmeticError, TypeError, ValueError):
                    continue
        raise ValueError(f"{value!r} is none of the types.")

    return Hint({"anyOf": [dict(hint.schema) for hint in hints]}, convert)
