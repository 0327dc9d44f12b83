"""Add to a request what lets the host's own authenticator find the asker."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.utils.module_loading import import_string
from rest_framework.authentication import TokenAuthentication

from waldur_chat import conf
from waldur_chat.tools.caller import CurrentCaller, ToolCaller
from waldur_chat.tools.request import credentials
from waldur_chat.tools.views.request import ToolRequest
from waldur_chat.tools.views.target import ViewTarget

NO_WAY = "The way in which the user has logged in does not lead to this view."


def authenticate(request: ToolRequest, caller: ToolCaller, current: CurrentCaller, target: ViewTarget) -> None:
    """Add the credentials of the caller. Raises `PermissionDenied` if there is no way to do so.

    A user is only set on a view that has their own authenticator: it would refuse them over HTTP otherwise.
    """
    if caller.kind == "anonymous":
        return
    request.asker_key = str(current.user.pk)
    if caller.kind == "token":
        kind: type[TokenAuthentication] = import_string(caller.authenticator)
        request.META["HTTP_AUTHORIZATION"] = credentials.authorization(kind, current.auth)
    elif caller.kind == "session":
        request.session_user = current.user
    elif path := conf.site_value("TOOL_AUTHENTICATION"):
        request.META.update(import_string(path)(caller, current.user))
    elif target.has_authenticator(caller.authenticator):
        from rest_framework.test import force_authenticate  # It imports Django's tools for tests.

        force_authenticate(request, current.user, current.auth)
    else:
        raise PermissionDenied(NO_WAY)
