"""Fields of serializers that the whole API shares: what UUIDs, times and choices look like on the wire."""

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
    """The UUID that is written here, with or without dashes; None where it is something else."""
    return UUID(text) if isinstance(text, str) and _UUID.fullmatch(text) else None


class UUIDField(serializers.UUIDField):
    """32 hexadecimal digits; read with and without dashes. DRF's own takes numbers, braces and `urn:` too."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="hex", **options)

    def to_internal_value(self, data: Any) -> UUID:
        """See UUIDField.to_internal_value()."""
        found = data if isinstance(data, UUID) else uuid_from(data)
        if found is None:
            self.fail("invalid", value=data)
        return found


class TimeField(serializers.DateTimeField):
    """A time as ISO 8601 has it, whatever the host's `DATETIME_FORMAT` says."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format=ISO_8601, **options)


class FlagField(serializers.BooleanField):
    """True or false as JSON has them. DRF's own takes words and numbers too, as forms and addresses have them."""

    def to_internal_value(self, data: Any) -> bool:
        """See BooleanField.to_internal_value()."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.JSONField):
    """An object of any keys."""


class NamedChoiceField(serializers.ChoiceField):
    """A choice whose values have a name of their own in the OpenAPI document."""

    def __init__(self, choices: Any, *, name: str, **options: Any) -> None:
        super().__init__(choices, **options)
        self.name = name


class NamedChoiceExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]  # It is registered.
    """Writes the component of a `NamedChoiceField`."""

    target_class = NamedChoiceField
    match_subclasses = True

    def get_name(self) -> str:
        """See OpenApiSerializerFieldExtension.get_name()."""
        return str(self.target.name)

    def map_serializer_field(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """See OpenApiSerializerFieldExtension.map_serializer_field()."""
        return {"enum": list(self.target.choices), "type": "string"}
