"""Quotas: users see their own; staff and support also see and set those of others (contract section 2)."""

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
    # Waldur's build rejects a UUID parameter unless it names the operation that lists such UUIDs.
    extensions={"x-waldur-operation-id": "chat_sessions_list"},
)


class QuotaViewSet(ChatAPIViewSet):
    """The quota of a user: tokens that they may use, and have used."""

    @operation(
        "chat_quota_usage_retrieve", "Show a quota", TokenQuotaUsageResponseSerializer, 400, 404, parameters=[_USER]
    )
    @action(detail=False, methods=["get"])
    def usage(self, request: Request, **kwargs: Any) -> Response:
        """Limits and use of a user by day, week and month."""
        user = self._user(_requested_uuid(request))
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
        """The user with this UUID, by default the caller. Only staff and support learn whether another user exists."""
        check_is_known(self.request.user)
        if uuid in (None, users.uuid_of(self.request.user)):
            return self.request.user
        if not users.sees_all(self.request.user):
            raise PermissionDenied
        user = users.find(uuid)
        if user is None:
            raise NotFound
        return user


def _requested_uuid(request: Request) -> UUID | None:
    """The UUID in the query; None without one. Raises `ValidationError` under the parameter's name."""
    text = request.query_params.get(_USER.name)
    try:
        return None if text is None else UUIDField().run_validation(text)
    except ValidationError as error:
        raise ValidationError({_USER.name: error.detail}) from error
