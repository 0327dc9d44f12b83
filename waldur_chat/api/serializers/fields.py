"""Serializer fields that the whole API shares: UUIDs, times, flags and choices."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import Direction, extend_schema_field
from rest_framework import ISO_8601, serializers

_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def uuid_from(text: object) -> UUID | None:
    """Parse a UUID with or without dashes; None for anything else."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


class UUIDField(serializers.UUIDField):
    """32 hexadecimal digits, parsed with and without dashes. DRF's field accepts numbers, braces and `urn:` too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="hex", **options)

    def to_internal_value(self, data: Any) -> UUID:
        uuid = data if isinstance(data, UUID) else uuid_from(data)
        if uuid is None:
            self.fail("invalid", value=data)
        return uuid


class TimeField(serializers.DateTimeField):
    """A time in ISO 8601, independent of the host's `DATETIME_FORMAT`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format=ISO_8601, **options)


class FlagField(serializers.BooleanField):
    """Accepts only JSON's true and false. DRF's field accepts words and numbers too, as forms send them."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.JSONField):
    """A JSON object with any keys."""


class NamedChoiceField(serializers.ChoiceField):
    """A choice with a name of its own for its enum in the OpenAPI document."""

    def __init__(self, choices: Any, *, name: str, **options: Any) -> None:
        super().__init__(choices, **options)
        self.name = name


class NamedChoiceExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # Defining the class registers it.
    """Describes a `NamedChoiceField` as a component of the OpenAPI document."""

    target_class = NamedChoiceField
    match_subclasses = True

    def get_name(self) -> str:
        return str(self.target.name)

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        return {"enum": list(self.target.choices), "type": "string"}
