"""The serializer of sessions (contract section 2)."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from waldur_chat import users
from waldur_chat.api.serializers.fields import TimeField, UUIDField
from waldur_chat.api.serializers.sparse_fields import SelectiveSerializer
from waldur_chat.models import Session


class ChatSessionSerializer(SelectiveSerializer):
    """All conversations of one user."""

    uuid = UUIDField(read_only=True)
    user = serializers.SerializerMethodField()
    user_username = serializers.SerializerMethodField()
    user_full_name = serializers.SerializerMethodField()
    created = TimeField(read_only=True)
    modified = TimeField(read_only=True)

    @extend_schema_field(OpenApiTypes.UUID)
    def get_user(self, session: Session) -> str:
        """The user's UUID."""
        uuid: UUID = users.uuid_of(session.user)
        return uuid.hex

    def get_user_username(self, session: Session) -> str:
        """The user's username."""
        return str(session.user.get_username())

    def get_user_full_name(self, session: Session) -> str:
        """The user's full name."""
        return users.full_name_of(session.user)
