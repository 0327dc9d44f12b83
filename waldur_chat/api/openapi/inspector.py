"""Lets two generators describe our views: drf-spectacular, and one of DRF's own where the host uses that.

DRF's generators take `view.schema` for what `DEFAULT_SCHEMA_CLASS` names, drf-spectacular takes it for its own
`AutoSchema`. On a host with DRF's class either would end with an error at our views if both got the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import extend_schema
from rest_framework.schemas import DefaultSchema
from rest_framework.settings import api_settings


class ViewSchema(DefaultSchema):
    """The host's schema class for its own generator; for drf-spectacular one that it can use, whatever the host has."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        """See DefaultSchema.__get__()."""
        host: Any = api_settings.DEFAULT_SCHEMA_CLASS
        if instance is None and not issubclass(host, AutoSchema):
            return AutoSchema()  # DRF's generators ask the class only whether it has a schema at all.
        found: Any = super().__get__(instance, owner)
        if isinstance(found, AutoSchema) or not getattr(instance, "swagger_fake_view", False):
            return found
        schema = AutoSchema()  # It is drf-spectacular that asks: it marks its views so.
        schema.view = instance
        return schema


def describe(**options: Any) -> Callable[[Any], Any]:
    """Do as `extend_schema` does, on drf-spectacular's own class; that extends `DEFAULT_SCHEMA_CLASS`, even DRF's."""
    extend = extend_schema(**options)

    def decorate(view: Any) -> Any:
        kwargs = vars(view).setdefault("kwargs", {})  # Where @action keeps its options, and extend_schema the schema.
        kwargs.setdefault("schema", AutoSchema)
        return extend(view)

    return decorate
