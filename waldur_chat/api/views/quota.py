"""Quotas: everybody sees his own; staff and support see and set those of others (contract section 2)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from waldur_chat import chat, users
from waldur_chat.api.openapi.operations import operation
from waldur_chat.api.request.auth import check_is_known
from waldur_chat.api.serializers.fields import UUIDField
from waldur_chat.api.serializers.quota import SetTokenQuotaSerializer, TokenQuotaUsageResponseSerializer
from waldur_chat.api.views.base import ChatAPIViewSet
from waldur_chat.store.budgets import quotas

_USER = OpenApiParameter(
    "user_uuid",
    OpenApiTypes.UUID,
    description="The user whose quota is wanted; one's own without it.",
    # Waldur's build refuses a UUID of which it does not know what lists them.
    extensions={"x-waldur-operation-id": "chat_sessions_list"},
)


class QuotaViewSet(ChatAPIViewSet):
    """How many tokens a user may use, and has used."""

    @operation(
        "chat_quota_usage_retrieve", "Show a quota", TokenQuotaUsageResponseSerializer, 400, 404, parameters=[_USER]
    )
    @action(detail=False, methods=["get"])
    def usage(self, request: Request, **kwargs: Any) -> Response:
        """Limits and use of a user by day, week and month."""
        user = self._user(_asked_for(request))
        return Response(TokenQuotaUsageResponseSerializer(quotas.load_quota(user, chat.load())).data)

    @operation("chat_quota_set_quota", "Set limits", None, 404, request=SetTokenQuotaSerializer)
    @action(detail=False, methods=["post"])
    def set_quota(self, request: Request, **kwargs: Any) -> Response:
        """Set limits of a user: null for the system's default, -1 for none. What is left out stays as it is."""
        if not users.sees_all(request.user):
            raise PermissionDenied
        serializer = SetTokenQuotaSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        limits = dict(serializer.validated_data)
        quotas.set_limits(self._user(limits.pop("user_uuid")), **limits)
        return Response()

    def _user(self, uuid: UUID | None) -> Any:
        """The user whose UUID this is, oneself without any. Whether there are others only staff and support learn."""
        check_is_known(self.request.user)
        if uuid in (None, users.uuid_of(self.request.user)):
            return self.request.user
        if not users.sees_all(self.request.user):
            raise PermissionDenied
        found = users.find(uuid)
        if found is None:
            raise NotFound
        return found


def _asked_for(request: Request) -> UUID | None:
    """The UUID in the query. Raises `ValidationError` under its name."""
    text = request.query_params.get(_USER.name)
    try:
        return None if text is None else UUIDField().run_validation(text)
    except ValidationError as error:
        raise ValidationError({_USER.name: error.detail}) from error
