"""Register the viewsets of the API in a router."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.exceptions import ImproperlyConfigured
from rest_framework.routers import BaseRouter
from rest_framework.viewsets import ViewSetMixin

from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.api.views.config import ConfigViewSet
from waldur_chat.api.views.health import HealthViewSet, ReadyViewSet
from waldur_chat.api.views.messages import MessageViewSet
from waldur_chat.api.views.prompts import SystemPromptViewSet
from waldur_chat.api.views.quota import QuotaViewSet
from waldur_chat.api.views.sessions import SessionViewSet
from waldur_chat.api.views.threads import ThreadViewSet
from waldur_chat.api.views.tool_calls import ToolCallViewSet
from waldur_chat.api.views.tools import ToolViewSet

VIEWSETS: dict[str, type[ChatAPIViewSet]] = {
    # First, so that no route of a site's own chat viewset comes before these.
    "config": ConfigViewSet,
    "health": HealthViewSet,
    "ready": ReadyViewSet,
    "chat": ChatViewSet,
    "threads": ThreadViewSet,
    "messages": MessageViewSet,
    "sessions": SessionViewSet,
    "quota": QuotaViewSet,
    "system-prompts": SystemPromptViewSet,
    "tools": ToolViewSet,
    "tool-calls": ToolCallViewSet,
}
"""The viewsets by the names under which a site can replace them."""

BELOW = ("config", "health", "ready")
"""What stands below the prefix itself, as the actions of the chat do."""


def register(
    router: BaseRouter, prefix: str = "chat", viewsets: Mapping[str, type[ViewSetMixin]] | None = None
) -> None:
    """Register the API under a prefix. The names of its routes begin with it too (`chat-invoke`, `chat-threads-list`).

    `viewsets` are replacements by the names in `VIEWSETS`. Raises `ImproperlyConfigured` for an unknown name.
    """
    replacements = viewsets or {}
    if unknown := sorted(set(replacements) - set(VIEWSETS)):
        raise ImproperlyConfigured(f"register(): there is no viewset {unknown[0]!r}, only {', '.join(VIEWSETS)}.")
    for path, (name, viewset) in zip(prefixes(prefix), VIEWSETS.items(), strict=True):
        basename = f"{prefix}-{name}" if name in BELOW else path
        router.register(path, replacements.get(name, viewset), basename=basename)


def prefixes(prefix: str) -> list[str]:
    """The path prefixes of all viewsets: the prefix itself, and those that begin with it."""
    paths = {"chat": prefix, **{name: f"{prefix}/{name}" for name in BELOW}}
    return [paths.get(name, f"{prefix}-{name}") for name in VIEWSETS]
