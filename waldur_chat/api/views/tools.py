"""Tools: a user executes one themselves, as the buttons of Waldur's page do."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

from django.db.transaction import non_atomic_requests
from django.utils import translation
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from rest_framework.decorators import action
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from waldur_chat import chat
from waldur_chat.api.openapi import tools as tools_openapi
from waldur_chat.api.request import auth
from waldur_chat.api.request.throttles import ChatRateThrottle
from waldur_chat.api.serializers.tools import ToolExecuteSerializer
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.runtime import tenants
from waldur_chat.runtime.connections import release_connections
from waldur_chat.tools import registry
from waldur_chat.tools.base import Tool
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.execution import run_blocking


class ToolFailed(APIException):
    """The tool failed, or its view refused the call."""

    status_code = 422
    default_code = "tool_failed"


# Without a transaction around it: a row that the host's authenticator has written in one would be locked for the view.
@method_decorator(non_atomic_requests, name="dispatch")
class ToolViewSet(ChatAPIViewSet):
    """The tools of the site."""

    throttle_classes = [ChatRateThrottle]

    def get_throttles(self) -> list[BaseThrottle]:
        """The throttles, which response headers describe."""
        throttles = list(super().get_throttles())
        self.limits += [one for one in throttles if isinstance(one, ChatRateThrottle)]
        return throttles

    def admit(self, request: Request) -> None:
        """Check the switches, which depend on the user."""
        self.chat_settings = chat.load()
        auth.check_switches(self.chat_settings, self.host_user)

    @tools_openapi.execute
    @action(detail=False, methods=["post"])
    def execute(self, request: Request, **kwargs: Any) -> Response:
        """Execute a tool as the user, and return the result."""
        serializer = ToolExecuteSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        tool = self._tool(serializer.validated_data["tool"])
        context = ToolContext(
            user=request.user,
            caller=ToolCaller.of(request),
            call=uuid4().hex,
            language=translation.get_language() or "",
            tenant=tenants.current(),
        )
        release_connections(keep_persistent=True)
        result = run_blocking(tool, context, json.dumps(serializer.validated_data["arguments"]))
        if result.outcome == "error":
            raise ToolFailed(result.error or _("The tool failed."))
        return Response(result.as_json())

    def _tool(self, name: str) -> Tool:
        """The tool of this name. Raises `ValidationError` if there is none, `PermissionDenied` if it is for others."""
        tool = registry.find(name, self.chat_settings)
        if tool is None or not tool.needs_request:
            self._check_host_throttles()
        if tool is None:
            raise ValidationError({"tool": _("Tool '{name}' is not recognized.").format(name=name)})
        if not tool.is_for(self.request.user):
            raise PermissionDenied(_("Tool '{name}' is not available for your role.").format(name=name))
        return tool

    def _check_host_throttles(self) -> None:
        """Count the request in the host's throttles, unless a view is called, which counts it itself."""
        host_classes: Any = api_settings.DEFAULT_THROTTLE_CLASSES
        for throttle in [make() for make in host_classes]:
            if not throttle.allow_request(self.request, self):
                self.throttled(self.request, throttle.wait() or 0)
