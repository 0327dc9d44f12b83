"""Serializers of messages, edits and feedback (contract section 2)."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from waldur_chat import conf, users
from waldur_chat.api.serializers.chat import TextField
from waldur_chat.api.serializers.fields import (
    FlagField,
    NamedChoiceField,
    ObjectField,
    SentenceField,
    TimeField,
    UUIDField,
)
from waldur_chat.models import Message
from waldur_chat.models.conversations import Severity
from waldur_chat.wire.blocks import split_into_blocks

COMMENT_MAX_LENGTH = 2000
NEUTRAL: dict[str, Any] = {
    "is_flagged": False,
    "severity": str(Severity.NONE),
    "injection_categories": {},
    "pii_categories": {},
    "action_taken": str(Message.Action.ALLOW),
}
"""What users other than staff and support see in place of a guard's judgement."""

BLOCK_KEYS = ("markdown", "code", "mermaid", "vm_order", "resource_list", "homeport_nav", "ask_user_form", "tool")
_BLOCK = {
    "type": "object",
    "required": ["id", "key", "status"],
    "properties": {
        "id": {"type": "string"},
        "key": {"type": "string", "enum": list(BLOCK_KEYS)},
        "status": {"type": "string", "description": "`complete`, or `incomplete`: the answer ended within it."},
    },
    "additionalProperties": {},
}
_OBJECTS = {"type": "array", "items": {"type": "object", "additionalProperties": {}}}


def blocks_of(message: Message) -> list[dict[str, Any]]:
    """The blocks of an answer, the last of which may be incomplete; a message of the user is one markdown block.

    Clients accept any status of a block.
    """
    if message.role == Message.Role.ASSISTANT:
        blocks = split_into_blocks(message.text) if message.blocks is None else message.blocks
        if blocks and message.status not in (Message.Status.COMPLETE, Message.Status.WAITING):
            blocks[-1]["status"] = "incomplete"
        return blocks
    return [{"id": "0", "key": "markdown", "status": "complete", "content": message.text}]


class MessageSerializer(serializers.Serializer[Any]):
    """A message. `content`, `content_display` and `tool_calls` are for clients that know no blocks."""

    uuid = UUIDField(read_only=True)
    thread = UUIDField(source="thread_uuid")
    role = NamedChoiceField(Message.Role.choices, name="MessageRoleEnum")
    status = NamedChoiceField(
        Message.Status.choices,
        name="AnswerStatusEnum",
        read_only=True,
        help_text=_("How the answer ended. A question has this of its last turn if that gave no answer."),
    )
    code = serializers.CharField(read_only=True, help_text=_("The code of the error that ended it."))
    model = serializers.CharField(read_only=True)
    ai_generated = serializers.SerializerMethodField()
    blocks = serializers.SerializerMethodField()
    warning = SentenceField(read_only=True)
    content = TextField(source="text")
    content_display = serializers.CharField(read_only=True, source="text")
    tool_calls = serializers.SerializerMethodField()
    sequence_index = serializers.IntegerField(read_only=True)
    replaces = UUIDField(source="replaces_uuid", required=False, allow_null=True)
    created = TimeField(read_only=True)
    input_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    output_tokens = serializers.IntegerField(read_only=True, allow_null=True)
    feedback_score = serializers.BooleanField(read_only=True, allow_null=True)
    feedback_comment = serializers.CharField(read_only=True, allow_null=True)
    feedback_category = NamedChoiceField(
        Message.FeedbackCategory.choices, name="FeedbackCategoryEnum", read_only=True, allow_null=True
    )
    feedback_submitted_at = TimeField(read_only=True, allow_null=True)
    is_flagged = serializers.BooleanField(read_only=True)
    severity = NamedChoiceField(Severity.choices, name="InjectionSeverityEnum", read_only=True)
    injection_categories = ObjectField(read_only=True)
    pii_categories = ObjectField(read_only=True)
    action_taken = NamedChoiceField(Message.Action.choices, name="ActionTakenEnum", read_only=True)

    def get_fields(self) -> dict[str, Any]:
        """The fields. The length limit of `content` is a setting, so it is read each time."""
        return {**super().get_fields(), "content": TextField(source="text", max_length=input_max_length())}

    def get_ai_generated(self, message: Message) -> bool:
        """Whether an AI system wrote it."""
        return bool(message.role == Message.Role.ASSISTANT)

    @extend_schema_field({"type": "array", "items": _BLOCK})
    def get_blocks(self, message: Message) -> list[dict[str, Any]]:
        """The text in blocks."""
        return blocks_of(message)

    @extend_schema_field(_OBJECTS)
    def get_tool_calls(self, message: Message) -> list[object]:
        """The calls of tools in the blocks."""
        return [block["tool"] for block in message.blocks or () if block["key"] == "tool"]

    def validate_role(self, role: str) -> str:
        """Reject messages in the name of the assistant."""
        if role != Message.Role.USER:
            raise serializers.ValidationError(_("Only the chat writes the assistant's messages."))
        return role

    def to_representation(self, instance: Message) -> dict[str, Any]:
        shown = super().to_representation(instance)
        for name in ("feedback_comment", "feedback_category"):
            shown[name] = shown[name] or None
        return shown if users.sees_all(self.context["request"].user) else {**shown, **NEUTRAL}


class MessageEditSerializer(serializers.Serializer[Any]):
    """The new text of a message."""

    content = TextField()

    def get_fields(self) -> dict[str, Any]:
        return {"content": TextField(max_length=input_max_length())}


class MessageFeedbackSerializer(serializers.Serializer[Any]):
    """Whether an answer was good."""

    score = FlagField(help_text=_("True for thumbs up, false for thumbs down."))
    comment = TextField(
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=COMMENT_MAX_LENGTH,
        help_text=_("What else there is to say."),
    )
    category = NamedChoiceField(
        Message.FeedbackCategory.choices,
        name="FeedbackCategoryEnum",
        required=False,
        allow_null=True,
        help_text=_("What was wrong; with thumbs down only."),
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Reject a category, which says what was wrong, with a positive score."""
        if attrs["score"] and attrs.get("category"):
            raise serializers.ValidationError({"category": [_("A category goes with a score of false only.")]})
        return attrs


def input_max_length() -> int:
    """The current value of `INPUT_MAX_LENGTH`."""
    return int(conf.site_value("INPUT_MAX_LENGTH"))
