"""Whether this process is alive, and whether it is ready. `shedding` answers the same in front of Django."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import Error
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat.api.openapi.chat import health, ready
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.health import ALIVE, Readiness, readiness

HEADERS = {"Cache-Control": "no-store"}


class HealthViewSet(ChatAPIViewSet):
    """Answers while the process can, also when it stops."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []

    @health
    def list(self, request: Request, **kwargs: Any) -> Response:
        """Say that this process is alive."""
        return Response(ALIVE, headers=HEADERS)


class ReadyViewSet(ChatAPIViewSet):
    """Credentials are optional and never refused: they only show details to staff.

    They are not read where the database is down, since that would take as long as the database does.
    """

    permission_classes = [AllowAny]
    throttle_classes = []

    found: Readiness

    @ready
    def list(self, request: Request, **kwargs: Any) -> Response:
        """Say what this process is ready for."""
        strict = request.query_params.get("strict") == "1"
        is_staff = bool(getattr(self.host_user, "is_staff", False))
        body = self.found.body(strict=strict, with_details=is_staff)
        return Response(body, self.found.status(strict=strict), headers=HEADERS)

    def perform_authentication(self, request: Request) -> None:
        """Who cannot be authenticated is anonymous."""
        self.found = readiness()
        if self.found.checks["database"] == "ok":
            with suppress(APIException, Error):
                super().perform_authentication(request)
                return
        request.user = AnonymousUser()
