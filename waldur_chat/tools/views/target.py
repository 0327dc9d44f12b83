"""Find the view of a name, as `reverse()` takes it, in the URLs of the site."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import uritemplate
from django.urls import URLPattern, URLResolver, get_resolver
from drf_spectacular.generators import EndpointEnumerator
from rest_framework.views import APIView

OUR_PACKAGE = "waldur_chat."


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewTarget:
    """A view at its place: the callback in the URLs, its path (`/projects/{pk}/`), and the regular expression of it."""

    name: str
    callback: Callable[..., Any]
    path: str
    path_regex: str

    @property
    def view_class(self) -> Any:
        """The class of a view of DRF; None for others."""
        return getattr(self.callback, "cls", None)

    def takes(self, method: str) -> bool:
        """Whether the view has an action for this method."""
        actions = getattr(self.callback, "actions", None)
        if actions is not None:
            return method.lower() in actions
        return method.lower() in self.view_class.http_method_names and hasattr(self.view_class, method.lower())

    def has_authenticator(self, dotted_path: str) -> bool:
        """Whether the view has exactly this authenticator, always: it may also choose some for each request."""
        options = getattr(self.callback, "initkwargs", {})
        listed = options.get("authentication_classes", self.view_class.authentication_classes)
        chooses = self.view_class.get_authenticators is not APIView.get_authenticators
        return not chooses and dotted_path in [f"{one.__module__}.{one.__qualname__}" for one in listed]

    @property
    def fixed_values(self) -> dict[str, str]:
        """The version in the path, if there is one: the view's default. Empty text if it has none."""
        versioning = getattr(self.view_class, "versioning_class", None)
        if versioning is None or versioning.version_param not in uritemplate.variables(self.path):
            return {}
        return {
            versioning.version_param: str(
                versioning.default_version or next(iter(versioning.allowed_versions or ()), "")
            )
        }

    @property
    def is_ours(self) -> bool:
        """Whether it is a view of this package, or a subclass of one."""
        return any(kind.__module__.startswith(OUR_PACKAGE) for kind in getattr(self.view_class, "__mro__", ()))


def targets_of(view_name: str) -> tuple[ViewTarget, ...]:
    """The views of this name in the current URLs: one path of the same name may differ from another in its values."""
    return _targets(get_resolver()).get(view_name, ())


@lru_cache(maxsize=8)
def _targets(resolver: URLResolver) -> Mapping[str, tuple[ViewTarget, ...]]:
    """All named views of the site. It has thousands, so that they are looked through once."""
    found: dict[str, list[ViewTarget]] = defaultdict(list)
    for target in _walk(resolver.url_patterns, "", ""):
        found[target.name].append(target)
    return {name: tuple(targets) for name, targets in found.items()}


def _walk(patterns: Any, regex: str, namespace: str) -> Iterator[ViewTarget]:
    for pattern in patterns:
        path_regex = regex + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            inner = f"{namespace}{pattern.namespace}:" if pattern.namespace else namespace
            yield from _walk(pattern.url_patterns, path_regex, inner)
        elif isinstance(pattern, URLPattern) and pattern.name and not re.search(r"<format>|\{format\}", path_regex):
            path = EndpointEnumerator(patterns=[]).get_path_from_regex(path_regex)  # type: ignore[no-untyped-call]
            yield ViewTarget(name=namespace + pattern.name, callback=pattern.callback, path=path, path_regex=path_regex)
