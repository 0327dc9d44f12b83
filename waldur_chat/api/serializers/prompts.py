"""Serializers of system prompts and their versions (contract section 2)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from waldur_chat import users
from waldur_chat.api.serializers.chat import TextField
from waldur_chat.api.serializers.fields import TimeField, UUIDField
from waldur_chat.models import SystemPromptVersion

NAME_MAX_LENGTH = 150


class SystemPromptSerializer(serializers.Serializer[Any]):
    """A system prompt as it is now."""

    uuid = UUIDField(read_only=True)
    name = TextField(max_length=NAME_MAX_LENGTH)
    description = TextField(required=False, allow_blank=True)
    custom_instructions = TextField(
        required=False,
        allow_blank=True,
        trim_whitespace=False,
        help_text=_(
            "Additional instructions injected into the system prompt. Use this for organisation-specific context, "
            "terminology, FAQ content, or behavioural guidelines. Supports {assistant_name} and {organization} "
            "placeholders."
        ),
    )
    is_active = serializers.BooleanField(
        read_only=True,
        help_text=_("Whether this prompt is currently used by the AI Assistant. Only one prompt can be active."),
    )
    created = TimeField(read_only=True)
    modified = TimeField(read_only=True)


class SystemPromptVersionSerializer(serializers.Serializer[Any]):
    """The instructions as they were from `created` on."""

    number = serializers.IntegerField(read_only=True, help_text=_("Counted from 1."))
    custom_instructions = serializers.CharField(read_only=True)
    author_uuid = serializers.SerializerMethodField()
    author_username = serializers.SerializerMethodField()
    created = TimeField(read_only=True)

    def get_author_uuid(self, version: SystemPromptVersion) -> str | None:
        """The author's UUID; null if that user was deleted."""
        return users.uuid_of(version.author).hex if version.author else None

    def get_author_username(self, version: SystemPromptVersion) -> str | None:
        """The author's username."""
        return version.author.get_username() if version.author else None
