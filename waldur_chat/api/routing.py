"""Registers the viewsets of the API in a router."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured
from rest_framework.routers import BaseRouter
from rest_framework.viewsets import ViewSetMixin

from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.api.views.messages import MessageViewSet
from waldur_chat.api.views.prompts import SystemPromptViewSet
from waldur_chat.api.views.quota import QuotaViewSet
from waldur_chat.api.views.sessions import SessionViewSet
from waldur_chat.api.views.threads import ThreadViewSet

VIEWSETS: dict[str, type[ChatAPIViewSet]] = {
    "chat": ChatViewSet,
    "threads": ThreadViewSet,
    "messages": MessageViewSet,
    "sessions": SessionViewSet,
    "quota": QuotaViewSet,
    "system-prompts": SystemPromptViewSet,
}
"""By the names under which a site puts its own in their place."""


def register(
    router: BaseRouter, prefix: str = "chat", viewsets: Mapping[str, type[ViewSetMixin]] | None = None
) -> None:
    """Add the API under this prefix; the names of its routes (`chat-invoke`, `chat-threads-list`) begin with it too.

    `viewsets` are the site's own, mostly subclasses of ours, by the names in `VIEWSETS`. Raises `ImproperlyConfigured`
    for a name that is not there.
    """
    own = viewsets or {}
    if unknown := sorted(set(own) - set(VIEWSETS)):
        raise ImproperlyConfigured(f"register(): there is no viewset {unknown[0]!r}, only {', '.join(VIEWSETS)}.")
    for path, (name, viewset) in zip(prefixes(prefix), VIEWSETS.items(), strict=True):
        router.register(path, own.get(name, viewset), basename=path)


def prefixes(prefix: str) -> list[str]:
    """All that is registered under this prefix: itself, and those that begin with it."""
    return [prefix if name == "chat" else f"{prefix}-{name}" for name in VIEWSETS]
