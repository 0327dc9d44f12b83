"""Schema classes for two generators: drf-spectacular, and DRF's own if the host uses it; and names by the prefix.

DRF's generators expect `view.schema` to be of the class in `DEFAULT_SCHEMA_CLASS`, drf-spectacular expects its own
`AutoSchema`. On a host with DRF's class, one of them would fail at our views if both got the same schema.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, append_meta
from drf_spectacular.utils import extend_schema
from rest_framework.schemas import DefaultSchema
from rest_framework.settings import api_settings

from waldur_chat.api.serializers.fields import enum_reference

DEFAULT_PREFIX = "chat"
OPERATION_REFERENCE = "x-waldur-operation-id"
"""The extension with which Waldur's clients find the operation that lists what a parameter may be."""


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


class PrefixedNames(AutoSchema):
    """Replaces `chat` in the names of the document where the API is registered under another prefix.

    Such a prefix stands beside an API of the host, whose operations and components may have the same names. The prefix
    is that of the viewset's basename (`llm-chat` of `llm-chat-threads`); under `chat` all names stay.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        for parameter in (operation or {}).get("parameters", ()):
            if OPERATION_REFERENCE in parameter:
                parameter[OPERATION_REFERENCE] = self._in_words(parameter[OPERATION_REFERENCE])
        return operation

    def get_operation_id(self) -> str:
        return self._in_words(super().get_operation_id())

    def get_tags(self) -> list[str]:
        return [tag.replace(DEFAULT_PREFIX, self._prefix(), 1) for tag in super().get_tags()]

    def get_serializer_name(self, serializer: Any, direction: Any) -> str:
        return self.component_name(super().get_serializer_name(serializer, direction))

    def component_name(self, name: str) -> str:
        """The name of a component under the prefix, from that under the default one."""
        if self._prefix() == DEFAULT_PREFIX:
            return name
        return _in_capitals(self._prefix()) + name.removeprefix("Chat")

    def resolve_serializer(self, *args: Any, **kwargs: Any) -> ResolvedComponent:
        component = super().resolve_serializer(*args, **kwargs)
        if self._prefix() != DEFAULT_PREFIX and component.schema:
            self._name_enums(component.name, component.schema.get("properties", {}))
        return component

    def _name_enums(self, owner: str, properties: dict[str, Any]) -> None:
        """Make components of enums without a name, called after their component and field.

        drf-spectacular would name them together with those of the host, whose names might change then.
        """
        owner = owner.removeprefix("Patched").removesuffix("Request")
        for name, schema in properties.items():
            if "enum" in schema:
                properties[name] = self._with_named_enum(f"{owner}{_in_capitals(name)}Enum", schema)

    def _with_named_enum(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        values = {key: value for key, value in schema.items() if key in ("enum", "type")}
        values["enum"] = [one for one in schema["enum"] if one is not None]
        rest = {key: value for key, value in schema.items() if key not in ("enum", "type", "x-spec-enum-id")}
        if None in schema["enum"]:
            rest["nullable"] = True
        return append_meta(enum_reference(self, name, values), rest)

    def _prefix(self) -> str:
        """The prefix, from the basename of the view and the tag that it has under the default prefix."""
        suffix = super().get_tags()[0].removeprefix(DEFAULT_PREFIX)
        basename = getattr(self.view, "basename", None) or ""
        return basename.removesuffix(suffix) if basename.endswith(suffix) and basename else DEFAULT_PREFIX

    def _in_words(self, operation_id: str) -> str:
        return operation_id.replace(DEFAULT_PREFIX, re.sub(r"\W", "_", self._prefix()), 1)


def _in_capitals(words: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[\W_]+", words))


def describe(**options: Any) -> Callable[[Any], Any]:
    """Do what `extend_schema` does, with names by the prefix of the API. The options contain `tags`.

    The base is `AutoSchema`: `extend_schema` would extend `DEFAULT_SCHEMA_CLASS`, even if that is DRF's.
    """
    extend = extend_schema(**options)

    def decorate(view: Any) -> Any:
        kwargs = vars(view).setdefault("kwargs", {})  # @action stores its options here, extend_schema the schema.
        kwargs.setdefault("schema", AutoSchema)
        described = extend(view)
        kwargs["schema"] = type("PrefixedSchema", (PrefixedNames, kwargs["schema"]), {})
        return described

    return decorate
