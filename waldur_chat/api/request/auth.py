"""Who may use the API: what the host configured, and where it configured nothing, owners of a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.models import Model
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissions,
    IsAuthenticated,
)
from rest_framework.settings import api_settings

from waldur_chat.conf import Settings
from waldur_chat.errors import ChatDisabled, ChatNotConfigured
from waldur_chat.store import tokens


def host_configured_authentication() -> bool:
    """Whether the host chose its own authentication classes."""
    return "DEFAULT_AUTHENTICATION_CLASSES" in getattr(settings, "REST_FRAMEWORK", {})


def tokens_are_installed() -> bool:
    """Whether there is a table of tokens."""
    return apps.is_installed("rest_framework.authtoken")


def authenticators() -> list[BaseAuthentication]:
    """The host's; without any, `Authorization: Token <key>`, and sessions for pages of the same site."""
    if host_configured_authentication():
        return [_quick(make()) for make in _classes(api_settings.DEFAULT_AUTHENTICATION_CLASSES)]
    own = [_quick(TokenAuthentication())] if tokens_are_installed() else []
    return [*own, SessionAuthentication()]


def permissions() -> list[BasePermission]:
    """An authenticated user always, and what else the host asks for; not permissions of models, since none is here."""
    further = [make() for make in _classes(api_settings.DEFAULT_PERMISSION_CLASSES)]
    needless = (AllowAny, IsAuthenticated, DjangoModelPermissions)
    return [IsAuthenticated(), *(one for one in further if not isinstance(one, needless))]


def check_switches(settings: Settings, user: object) -> None:
    """Raise what keeps this user from chatting: switched off, not for his role, nothing to chat with."""
    if not settings.enabled or settings.enabled_roles == "disabled":
        raise ChatDisabled
    if not _has_role(settings.enabled_roles, user):
        raise PermissionDenied
    if not settings.chain:
        raise ChatNotConfigured("There is no default provider.")


def _has_role(roles: str, user: object) -> bool:
    is_staff = getattr(user, "is_staff", False)
    if roles == "staff":
        return is_staff
    if roles == "staff_and_support":
        return is_staff or getattr(user, "is_support", False)
    return roles in ("all", "anonymous")


def _quick(authentication: BaseAuthentication) -> BaseAuthentication:
    """The same; where it looks for tokens as DRF does, with a statement of ours."""
    kind: Any = type(authentication)
    if getattr(kind, "authenticate_credentials", None) is TokenAuthentication.authenticate_credentials:
        model = authentication.get_model()  # type: ignore[attr-defined]
        authentication.authenticate_credentials = partial(_owner, kind, model)  # type: ignore[attr-defined]
    return authentication


def _owner(kind: type[TokenAuthentication], model: type[Model], key: str) -> tuple[Any, Any]:
    """See TokenAuthentication.authenticate_credentials(), which says why where nobody is let in."""
    token = tokens.with_user(model, key)
    if token is None or not token.user.is_active:
        return kind().authenticate_credentials(key)
    return token.user, token


def _classes(setting: Any) -> Sequence[Callable[[], Any]]:
    """Classes of DRF's settings, which are paths only until they are accessed."""
    return tuple(setting)
