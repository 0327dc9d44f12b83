"""Serializer fields that the whole API shares: UUIDs, sentences, times, flags and choices."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from django.utils.translation import gettext
from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
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


class SentenceField(serializers.CharField):
    """A sentence that was stored in English, in the language of the request."""

    def to_representation(self, value: Any) -> str:
        return gettext(value) if value else ""


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
    """Describes a `NamedChoiceField` as a component of the OpenAPI document, named by the prefix of the API.

    The component is registered here, since `get_name()` does not know of which view the field is.
    """

    target_class = NamedChoiceField
    match_subclasses = True

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        name = getattr(auto_schema, "component_name", str)(self.target.name)
        schema = {"enum": list(self.target.choices), "type": "string"}
        return enum_reference(auto_schema, name, schema)


def enum_reference(auto_schema: AutoSchema, name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe an enum as a component of the OpenAPI document; returns the reference to it."""
    kind = ResolvedComponent.SCHEMA
    component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)  # type: ignore[no-untyped-call]
    auto_schema.registry.register_on_missing(component)
    return dict(component.ref)
