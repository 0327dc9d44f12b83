"""Who may use the API: what the host configured, and where it configured nothing, owners of a token."""

from __future__ import annotations

from collections.abc import Sequence

from django.apps import apps
from django.conf import settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissions,
    DjangoObjectPermissions,
    IsAuthenticated,
)
from rest_framework.settings import api_settings

from waldur_chat.conf import Settings
from waldur_chat.errors import ChatDisabled, ChatNotConfigured


def host_configured_authentication() -> bool:
    """Whether the host chose its own authentication classes."""
    return "DEFAULT_AUTHENTICATION_CLASSES" in getattr(settings, "REST_FRAMEWORK", {})


def tokens_are_installed() -> bool:
    """Whether there is a table of tokens."""
    return apps.is_installed("rest_framework.authtoken")


def authenticators() -> Sequence[BaseAuthentication]:
    """The host's; without any, `Authorization: Token <key>`, and sessions for pages of the same site."""
    if host_configured_authentication():
        return [authentication() for authentication in api_settings.DEFAULT_AUTHENTICATION_CLASSES]
    tokens = [TokenAuthentication()] if tokens_are_installed() else []
    return [*tokens, SessionAuthentication()]


def permissions() -> Sequence[BasePermission]:
    """An authenticated user always, and what else the host asks for. Permissions of models do not apply: none is here."""
    needless = (AllowAny, IsAuthenticated, DjangoModelPermissions, DjangoObjectPermissions)
    further = [one for one in api_settings.DEFAULT_PERMISSION_CLASSES if not (isinstance(one, type) and issubclass(one, needless))]
    return [IsAuthenticated(), *(one() for one in further)]


def check_switches(settings: Settings, user: object) -> None:
    """Raise what keeps this user from chatting: switched off, not for his role, nothing to chat with."""
    if not settings.enabled or settings.enabled_roles == "disabled":
        raise ChatDisabled
    if not _has_role(settings.enabled_roles, user):
        raise PermissionDenied
    if settings.provider is None:
        raise ChatNotConfigured("There is no default provider.")


def _has_role(roles: str, user: object) -> bool:
    is_staff = getattr(user, "is_staff", False)
    if roles == "staff":
        return is_staff
    if roles == "staff_and_support":
        return is_staff or getattr(user, "is_support", False)
    return True
