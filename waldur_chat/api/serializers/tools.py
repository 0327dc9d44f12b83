"""Serializers of tools: their execution by a user (contract section 2), and the calls of a model."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from waldur_chat.api.serializers.chat import TextField
from waldur_chat.api.serializers.fields import NamedChoiceField, TimeField, UUIDField
from waldur_chat.models import ToolCall
from waldur_chat.store.turns.approvals.calls import status_of

ORIGIN = {
    "type": "object",
    "properties": {"source": {"type": "string"}, "tool": {"type": "string"}},
    "required": ["source"],
}
"""`source` is "user", "result" or "model"; `tool` names the one whose result it was."""


class ToolExecuteSerializer(serializers.Serializer[Any]):
    """A call of a tool."""

    tool = TextField(max_length=100, help_text=_("Name of the tool to execute."))
    arguments = serializers.DictField(required=False, default=dict, help_text=_("Tool arguments."))


class ToolCallSerializer(serializers.Serializer[Any]):
    """A call of a tool that a model has made for the user."""

    uuid = UUIDField(read_only=True)
    thread = UUIDField(source="thread_uuid", read_only=True)
    turn = UUIDField(
        source="turn_uuid", read_only=True, help_text=_("The answer's turn, as `turn_uuid` of its stream.")
    )
    message = UUIDField(
        source="message_uuid", read_only=True, allow_null=True, help_text=_("The answer; null while it is written.")
    )
    tool = serializers.CharField(read_only=True)
    arguments = serializers.SerializerMethodField(help_text=_("What the tool is called with."))
    origins = serializers.SerializerMethodField(
        help_text=_("Where each argument of a call that has waited comes from; what is in doubt, from the model.")
    )
    status = serializers.SerializerMethodField()
    summary = serializers.CharField(read_only=True, help_text=_("What came of it, in words."))
    is_touched = serializers.BooleanField(
        read_only=True, help_text=_("With the status `unknown` or `failed`: whether something was written.")
    )
    created = TimeField(read_only=True)
    expires = TimeField(read_only=True, allow_null=True, help_text=_("Until when it may be approved or denied."))
    decided_at = TimeField(read_only=True, allow_null=True)
    ended = TimeField(read_only=True, allow_null=True)

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_arguments(self, call: ToolCall) -> dict[str, Any]:
        """The arguments, as the tool gets them."""
        return dict(json.loads(call.arguments))

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "array", "items": ORIGIN}})
    def get_origins(self, call: ToolCall) -> dict[str, Any]:
        """The origins of each argument, by its name; empty for a call that has not waited for its user."""
        return dict(call.origins or {})

    @extend_schema_field(NamedChoiceField(ToolCall.Status.choices, name="ToolCallStatusEnum"))
    def get_status(self, call: ToolCall) -> str:
        """The status; a call that nobody has decided in time is expired."""
        return status_of(call)


class ToolCallResultSerializer(ToolCallSerializer):
    """A call with its result, which is too long for lists."""

    result = serializers.CharField(read_only=True, help_text=_("What the model was told."))
