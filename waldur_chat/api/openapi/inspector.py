"""Schema classes for two generators: drf-spectacular, and DRF's own if the host uses it.

DRF's generators expect `view.schema` to be of the class in `DEFAULT_SCHEMA_CLASS`, drf-spectacular expects its own
`AutoSchema`. On a host with DRF's class, one of them would fail at our views if both got the same schema.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.schemas import DefaultSchema
from rest_framework.settings import api_settings


class ViewSchema(DefaultSchema):
    """Gives the host's schema class to the host's generator, and `AutoSchema` to drf-spectacular."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        host: Any = api_settings.DEFAULT_SCHEMA_CLASS
        if instance is None and not issubclass(host, AutoSchema):
            return AutoSchema()  # DRF's generators only check that the class has a schema.
        schema: Any = super().__get__(instance, owner)
        if isinstance(schema, AutoSchema) or not getattr(instance, "swagger_fake_view", False):
            return schema
        schema = AutoSchema()  # drf-spectacular marks the views that it creates with `swagger_fake_view`.
        schema.view = instance
        return schema


def describe(**options: Any) -> Callable[[Any], Any]:
    """Do what `extend_schema` does, on `AutoSchema`: it would extend `DEFAULT_SCHEMA_CLASS`, even if that is DRF's."""
    extend = extend_schema(**options)

    def decorate(view: Any) -> Any:
        kwargs = vars(view).setdefault("kwargs", {})  # @action stores its options here, extend_schema the schema.
        kwargs.setdefault("schema", AutoSchema)
        return extend(view)

    return decorate
