"""A site with viewsets of its own in the place of ours."""

from __future__ import annotations

from typing import Any

from django.urls import include, path
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.routers import SimpleRouter

from waldur_chat.api.routing import VIEWSETS, register
from waldur_chat.testing import Script, Step


class Never(BasePermission):
    """A permission of the site's that refuses everybody."""

    def has_permission(self, request: Any, view: Any) -> bool:
        return False


def urls(viewsets: dict[str, Any]) -> Any:
    """What `ROOT_URLCONF` may be: the API below `/api/`, with these viewsets of the site's."""
    router = SimpleRouter()
    register(router, viewsets=viewsets)
    return type("Urls", (), {"urlpatterns": [path("api/", include(router.urls))]})


def subclassed(**attributes: Any) -> dict[str, Any]:
    """All viewsets, with these attributes."""
    return {name: type(f"Own{viewset.__name__}", (viewset,), attributes) for name, viewset in VIEWSETS.items()}


def answering(settings: Any, *steps: Step, **own: Any) -> Script:
    """Let the default provider follow these steps, as `scripted()` does, for tests that change more settings."""
    script = Script(steps=steps)
    entry = {"BACKEND": "waldur_chat.testing.ScriptedProvider", "OPTIONS": {"script": script}}
    settings.WALDUR_CHAT = {"STORAGE": False, "PROVIDERS": {"default": entry}, **own}
    return script


def open_to_all() -> dict[str, Any]:
    """All viewsets, for everybody."""
    return subclassed(permission_classes=[AllowAny])
