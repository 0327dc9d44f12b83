"""Registers the viewsets of the API in a router."""

from __future__ import annotations

from rest_framework.routers import BaseRouter

from waldur_chat.api.views import ChatViewSet


def register(router: BaseRouter, prefix: str = "chat") -> None:
    """Add the API under this prefix; the names of its routes (`chat-invoke`, `chat-stream`) begin with it too."""
    router.register(prefix, ChatViewSet, basename=prefix)
