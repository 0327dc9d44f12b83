"""Authentication and permissions: the host's settings; without any, tokens and sessions.

The viewsets have `AUTHENTICATION` and `PERMISSIONS` as their classes. These stand for the host's settings at the time
of each request. Classes of a subclass, an action or `as_view()` replace them, as everywhere in DRF.
"""

from __future__ import annotations

import logging
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

logger = logging.getLogger(__name__)

NO_TABLE = "there is no table of tokens, since rest_framework.authtoken is not in INSTALLED_APPS."
NO_PROVIDER = "there is no provider 'default' in WALDUR_CHAT['PROVIDERS'], and no address in the host's constance."


def host_configured_authentication() -> bool:
    """Whether the host has set `DEFAULT_AUTHENTICATION_CLASSES`."""
    return "DEFAULT_AUTHENTICATION_CLASSES" in getattr(settings, "REST_FRAMEWORK", {})


def tokens_are_installed() -> bool:
    """Whether DRF's tokens are installed."""
    return apps.is_installed("rest_framework.authtoken")


def authentication_classes() -> list[type[BaseAuthentication]]:
    """The host's classes; without any, `Authorization: Token <key>`, and sessions for pages of the same site."""
    if host_configured_authentication():
        return [one for one in _classes(api_settings.DEFAULT_AUTHENTICATION_CLASSES) if _has_tokens(one)]
    tokens: list[type[BaseAuthentication]] = [TokenAuthentication] if tokens_are_installed() else []
    return [*tokens, SessionAuthentication]


def lacks_table(kind: Any) -> bool:
    """Whether the class reads DRF's table of tokens, which is not installed. It would raise at each token."""
    reads_tokens = isinstance(kind, type) and issubclass(kind, TokenAuthentication) and kind.model is None
    return reads_tokens and kind.get_model is TokenAuthentication.get_model and not tokens_are_installed()


def _has_tokens(kind: Any) -> bool:
    if lacks_table(kind):
        logger.error("%s: %s", kind.__name__, NO_TABLE)
        return False
    return True


def permission_classes() -> list[type[BasePermission]]:
    """`IsAuthenticated`, and the host's classes except permissions of models: `ChatViewSet` has no model."""
    others = [one for one in _classes(api_settings.DEFAULT_PERMISSION_CLASSES) if not _is_redundant(one)]
    return [IsAuthenticated, *others]


class PlainMetadata(SimpleMetadata):
    """The response to OPTIONS, without fields: DRF would fetch the row for them. The OpenAPI document has them."""

    def determine_actions(self, request: Request, view: APIView) -> dict[str, Any]:
        return {}


def metadata_class() -> type[BaseMetadata]:
    """The host's class for OPTIONS, if it has set one."""
    default: Any = api_settings.DEFAULT_METADATA_CLASS
    return PlainMetadata if default is SimpleMetadata else default


def check_switches(settings: Settings, user: object) -> None:
    """Raise if this user may not chat: the chat is off, it is not for their role, or no provider is configured."""
    if not settings.enabled or settings.enabled_roles == "disabled":
        raise ChatDisabled
    if not _has_role(settings.enabled_roles, user):
        raise PermissionDenied
    if not settings.chain:
        logger.error("The chat cannot work: %s", NO_PROVIDER)
        raise ChatNotConfigured(NO_PROVIDER)


def check_is_known(user: object) -> None:
    """Raise `NotFound` for an anonymous user, if a site's permissions admit them: nothing is stored for them."""
    if not users.is_known(user):
        raise NotFound


def _has_role(roles: str, user: object) -> bool:
    is_staff = getattr(user, "is_staff", False)
    if roles == "staff":
        return is_staff
    if roles == "staff_and_support":
        return is_staff or getattr(user, "is_support", False)
    return roles in ("all", "anonymous")


def _is_redundant(permission: Any) -> bool:
    """Whether a permission adds nothing to `IsAuthenticated`, or needs a model.

    A combination (`A & B`) is kept as it is: it may require more than its parts do.
    """
    if permission in (AllowAny, IsAuthenticated):
        return True
    return isinstance(permission, type) and issubclass(permission, DjangoModelPermissions)


def _classes(setting: Any) -> list[Any]:
    """A list of DRF's settings. They are annotated as paths, but an access gives classes."""
    return list(setting)


AUTHENTICATION = authentication_classes()
PERMISSIONS = permission_classes()
"""The classes at import time, which a subclass extends with `[*ChatViewSet.permission_classes, Own]`."""
