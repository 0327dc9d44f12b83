"""What drf-spectacular says of one operation of a view: parameters, body, responses.

Its `AutoSchema` is asked, also on a site that documents its API in another way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import uritemplate
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, get_class
from drf_spectacular.settings import spectacular_settings

from waldur_chat.tools.views.target import ViewTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as OpenAPI has it, with the components that it refers to.

    `path_names` leads from the documented names of the path's values to those of the URL, which may be `pk` for `id`.
    """

    described: Mapping[str, Any]
    components: Mapping[str, Any]
    path_names: Mapping[str, str]
    fixed_values: Mapping[str, str]
    view: Any


def operation_of(target: ViewTarget, method: str) -> Operation | None:
    """The operation; None if the site excludes it from its documents. Raises what the serializers of the view do."""
    generator: Any = SchemaGenerator(patterns=[])  # type: ignore[no-untyped-call]
    with GENERATOR_STATS.silence():
        view = generator.create_view(target.callback, method)
        path = generator.coerce_path(target.path, method, view)
        view.request = spectacular_settings.GET_MOCK_REQUEST(method, path, view, None)
        registry = ComponentRegistry()
        schema = _schema(view, method)
        described = schema.get_operation(path, target.path_regex, "^/", method, registry)
        components = registry.build({}).get("schemas", {})
    if described is None:
        return None
    names = dict(zip(uritemplate.variables(path), uritemplate.variables(target.path), strict=True))
    return Operation(
        described=described,
        components=components,
        path_names=names,
        fixed_values=target.fixed_values,
        view=view,
    )


def _schema(view: Any, method: str) -> AutoSchema:
    """The view's schema object, as one of `AutoSchema`.

    Where the site has set another class, `extend_schema` has extended that one. The order of the bases then decides
    that what it says comes first, then `AutoSchema`.
    """
    handler = getattr(view, getattr(view, "action", None) or method.lower())
    described = getattr(handler, "kwargs", {}).get("schema") or type(view).schema
    kind = get_class(described)
    if issubclass(kind, AutoSchema) and isinstance(view.schema, AutoSchema):
        return view.schema
    bases = [kind] if issubclass(kind, AutoSchema) else _bases(kind)
    schema: AutoSchema = type("ToolSchema", tuple(bases), {})()
    schema.view = view
    return schema


def _bases(kind: Any) -> list[Any]:
    """`ExtendedSchema`, `AutoSchema`, and the site's class; without `extend_schema` only the last two."""
    host = next(one for one in kind.__mro__ if not one.__module__.startswith("drf_spectacular"))
    return [AutoSchema] if host is kind else [kind, AutoSchema, host]
