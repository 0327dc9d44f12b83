"""Who may use the API: what the host configured, and where it configured nothing, owners of a token.

Our viewsets have `AUTHENTICATION` and `PERMISSIONS` for their classes, which stand for the host's settings as they are
at each request. Whatever a subclass, an action or `as_view()` puts in their place wins, as everywhere in DRF.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.metadata import BaseMetadata, SimpleMetadata
from rest_framework.permissions import (
    AllowAny,
    BasePermission,
    DjangoModelPermissions,
    IsAuthenticated,
)
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.views import APIView

from waldur_chat import users
from waldur_chat.conf import Settings
from waldur_chat.errors import ChatDisabled, ChatNotConfigured


def host_configured_authentication() -> bool:
    """Whether the host chose its own authentication classes."""
    return "DEFAULT_AUTHENTICATION_CLASSES" in getattr(settings, "REST_FRAMEWORK", {})


def tokens_are_installed() -> bool:
    """Whether there is a table of tokens."""
    return apps.is_installed("rest_framework.authtoken")


def authentication_classes() -> list[type[BaseAuthentication]]:
    """The host's; without any, `Authorization: Token <key>`, and sessions for pages of the same site."""
    if host_configured_authentication():
        return _classes(api_settings.DEFAULT_AUTHENTICATION_CLASSES)
    own: list[type[BaseAuthentication]] = [TokenAuthentication] if tokens_are_installed() else []
    return [*own, SessionAuthentication]


def permission_classes() -> list[type[BasePermission]]:
    """An authenticated user always, and what else the host asks for; not permissions of models, since none is here."""
    further = [one for one in _classes(api_settings.DEFAULT_PERMISSION_CLASSES) if not _is_needless(one)]
    return [IsAuthenticated, *further]


class PlainMetadata(SimpleMetadata):
    """What OPTIONS answers: no fields, which the OpenAPI document has, and for which DRF would look for the row."""

    def determine_actions(self, request: Request, view: APIView) -> dict[str, Any]:
        """See SimpleMetadata.determine_actions()."""
        return {}


def metadata_class() -> type[BaseMetadata]:
    """The host's own class for OPTIONS, where it has one."""
    given: Any = api_settings.DEFAULT_METADATA_CLASS
    return PlainMetadata if given is SimpleMetadata else given


def check_switches(settings: Settings, user: object) -> None:
    """Raise what keeps this user from chatting: switched off, not for his role, nothing to chat with."""
    if not settings.enabled or settings.enabled_roles == "disabled":
        raise ChatDisabled
    if not _has_role(settings.enabled_roles, user):
        raise PermissionDenied
    if not settings.chain:
        raise ChatNotConfigured("There is no default provider.")


def check_is_known(user: object) -> None:
    """Raise `NotFound` for an anonymous user whom a site's own permissions let in: nothing here is theirs."""
    if not users.is_known(user):
        raise NotFound


def _has_role(roles: str, user: object) -> bool:
    is_staff = getattr(user, "is_staff", False)
    if roles == "staff":
        return is_staff
    if roles == "staff_and_support":
        return is_staff or getattr(user, "is_support", False)
    return roles in ("all", "anonymous")


def _is_needless(permission: Any) -> bool:
    """Whether it says no more than ours, or asks for the rights to a model. What is made of those two says more.

    A combination of several (`A & B`) is no class.
    """
    if permission in (AllowAny, IsAuthenticated):
        return True
    return isinstance(permission, type) and issubclass(permission, DjangoModelPermissions)


def _classes(setting: Any) -> list[Any]:
    """Classes of DRF's settings, which are paths only until they are accessed."""
    return list(setting)


AUTHENTICATION = authentication_classes()
PERMISSIONS = permission_classes()
"""What subclasses extend where they write `[*ChatViewSet.permission_classes, Own]`."""
