"""Finds the routes of the API: without a namespace, or in one of the site's, and with a version in the path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.urls import NoReverseMatch, URLResolver, get_resolver, reverse


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRoutes:
    """What all routes of the API have in common: the start of their names (`v2:chat`), and arguments of their paths."""

    prefix: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def url(self, name: str, **arguments: Any) -> str:
        """The URL of a route, such as `threads-list`. Raises `NoReverseMatch`."""
        return reverse(f"{self.prefix}-{name}", kwargs={**self.arguments, **arguments})


def find_routes(stream_view_name: str) -> ApiRoutes:
    """The routes of the API whose stream has this name, in the first namespace where it can be reversed.

    Raises `NoReverseMatch` if there is none.
    """
    prefix = stream_view_name.removesuffix("-stream")
    rest: Mapping[str, Any] = getattr(settings, "REST_FRAMEWORK", {})
    version_in_path = {rest.get("VERSION_PARAM", "version"): rest.get("DEFAULT_VERSION", "")}
    for namespace in ("", *_namespaces(get_resolver())):
        for arguments in ({}, version_in_path):
            routes = ApiRoutes(prefix=f"{namespace}{prefix}", arguments=arguments)
            try:
                routes.url("stream")
            except NoReverseMatch:
                continue
            return routes
    raise NoReverseMatch(f"No URL is named {stream_view_name!r}, in any namespace.")


def _namespaces(resolver: URLResolver, outer: str = "") -> Iterator[str]:
    """All namespaces, each with its outer ones and a colon at its end."""
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            inner = f"{outer}{one.namespace}:" if one.namespace else outer
            if inner != outer:
                yield inner
            yield from _namespaces(one, inner)
