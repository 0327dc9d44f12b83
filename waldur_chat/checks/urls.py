"""The check that the API can be reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register
from django.urls import URLPattern, URLResolver, get_resolver

VIEWS = "waldur_chat.api.views.chat"


@register(Tags.urls)
def check_urls(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """W004, or W005 if the Waldur plugin knows the reason."""
    if not getattr(settings, "ROOT_URLCONF", None) or any(_is_chat_url(one) for one in _patterns(get_resolver())):
        return []
    app: Any = apps.get_app_config("waldur_chat")
    if app.problem:
        return [Warning(app.problem, id="waldur_chat.W005")]
    hint = 'Add path("api/", include("waldur_chat.urls")) to the URLs of the site.'
    return [Warning("No URL leads to the chat API.", hint=hint, id="waldur_chat.W004")]


def _patterns(resolver: URLResolver) -> Iterator[URLPattern]:
    for one in resolver.url_patterns:
        if isinstance(one, URLResolver):
            yield from _patterns(one)
        else:
            yield one


def _is_chat_url(pattern: URLPattern) -> bool:
    """Whether the pattern belongs to the chat viewset or a subclass of it. Compared by name, without an import."""
    viewset = getattr(pattern.callback, "cls", None)
    return any(kind.__module__ == VIEWS for kind in getattr(viewset, "__mro__", ()))
