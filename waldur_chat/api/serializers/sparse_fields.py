"""Serializers of which a client can ask for some fields only (`field=uuid&field=name`)."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import Direction
from rest_framework import serializers


class SelectiveSerializer(serializers.Serializer[Any]):
    """Shows the fields that the view puts into its context as `fields`; all where these are none."""

    def get_fields(self) -> dict[str, Any]:
        """See Serializer.get_fields()."""
        fields = super().get_fields()
        wanted = self.context.get("fields")
        return {name: field for name, field in fields.items() if not wanted or name in wanted}


class SelectiveExtension(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]  # It is registered.
    """Says in the OpenAPI document that any field of an answer may be missing."""

    target_class = SelectiveSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Direction) -> dict[str, Any]:
        """See OpenApiSerializerExtension.map_serializer()."""
        usual: Any = auto_schema._map_serializer
        schema: dict[str, Any] = usual(self.target, direction, bypass_extensions=True)
        if direction == "response":
            schema.pop("required", None)
        return schema
