"""Registers the viewsets of the API in a router."""

from __future__ import annotations

from rest_framework.routers import BaseRouter

from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.api.views.messages import MessageViewSet
from waldur_chat.api.views.prompts import SystemPromptViewSet
from waldur_chat.api.views.quota import QuotaViewSet
from waldur_chat.api.views.sessions import SessionViewSet
from waldur_chat.api.views.threads import ThreadViewSet

RESOURCES: dict[str, type[ChatAPIViewSet]] = {
    "threads": ThreadViewSet,
    "messages": MessageViewSet,
    "sessions": SessionViewSet,
    "quota": QuotaViewSet,
    "system-prompts": SystemPromptViewSet,
}


def register(router: BaseRouter, prefix: str = "chat") -> None:
    """Add the API under this prefix; the names of its routes (`chat-invoke`, `chat-threads-list`) begin with it too."""
    viewsets: list[type[ChatAPIViewSet]] = [ChatViewSet, *RESOURCES.values()]
    for name, viewset in zip(prefixes(prefix), viewsets, strict=True):
        router.register(name, viewset, basename=name)


def prefixes(prefix: str) -> list[str]:
    """All that is registered under this prefix: itself, and those that begin with it."""
    return [prefix, *(f"{prefix}-{name}" for name in RESOURCES)]
