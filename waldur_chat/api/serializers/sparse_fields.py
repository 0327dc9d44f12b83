"""Sparse fields: a client can request some fields of a serializer only (`field=uuid&field=name`)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers


class SelectiveSerializer(serializers.Serializer[Any]):
    """Has only the fields that the view names in its context (`fields`); all if it names none."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        wanted = self.context.get("fields")
        return {name: field for name, field in fields.items() if not wanted or name in wanted}


class SelectiveExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # Defining the class registers it.
    """Makes all fields of a response optional in the OpenAPI document."""

    target_class = SelectiveSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        # The base method maps the class, but `field` limits the fields of the instance. drf-spectacular's own
        # extensions call this private method for the same reason.
        default: Any = auto_schema._map_serializer
        schema: dict[str, Any] = default(self.target, direction, bypass_extensions=True)
        if direction == "response":
            schema.pop("required", None)
        return schema
