"""Serializers of threads and their totals (contract section 2)."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from waldur_chat import users
from waldur_chat.api.serializers.chat import TextField
from waldur_chat.api.serializers.fields import FlagField, NamedChoiceField, ObjectField, TimeField, UUIDField
from waldur_chat.api.serializers.sparse_fields import SelectiveSerializer
from waldur_chat.models import Thread
from waldur_chat.models.conversations import NAME_MAX_LENGTH, Severity


class RecordedField(serializers.IntegerField):
    """A sum of tokens; null if nothing was recorded, that is, if the field `recorded` is zero."""

    def __init__(self, recorded: str, **options: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **options)
        self.recorded = recorded

    def get_attribute(self, instance: Thread) -> Any:
        return super().get_attribute(instance) if getattr(instance, self.recorded) else None


class ThreadSessionSerializer(SelectiveSerializer):
    """A conversation."""

    uuid = UUIDField(read_only=True)
    name = TextField(required=False, max_length=NAME_MAX_LENGTH)
    chat_session = UUIDField(read_only=True, source="session.uuid")
    flags = ObjectField(read_only=True)
    is_archived = FlagField(required=False)
    message_count = serializers.IntegerField(read_only=True)
    input_tokens = RecordedField("total_tokens")
    output_tokens = RecordedField("total_tokens")
    total_tokens = RecordedField("total_tokens")
    title_gen_input_tokens = RecordedField("title_input_tokens", source="title_input_tokens")
    title_gen_output_tokens = RecordedField("title_output_tokens", source="title_output_tokens")
    models_used = serializers.CharField(read_only=True)
    is_flagged = serializers.BooleanField(read_only=True)
    max_severity = NamedChoiceField(Severity.choices, name="InjectionSeverityEnum", read_only=True)
    has_feedback = serializers.SerializerMethodField()
    running_turn = UUIDField(read_only=True, allow_null=True, default=None)
    user_username = serializers.SerializerMethodField()
    user_full_name = serializers.SerializerMethodField()
    created = TimeField(read_only=True)
    modified = TimeField(read_only=True)

    def get_has_feedback(self, thread: Thread) -> bool:
        """Whether an answer in it was rated."""
        return thread.positive_feedback + thread.negative_feedback > 0

    def get_user_username(self, thread: Thread) -> str:
        """The owner's username."""
        return str(thread.session.user.get_username())

    def get_user_full_name(self, thread: Thread) -> str:
        """The owner's full name."""
        return users.full_name_of(thread.session.user)


class ChatThreadStatsResponseSerializer(serializers.Serializer[Any]):
    """Totals of the conversations that a user may see."""

    threads_total = serializers.IntegerField()
    sessions_total = serializers.IntegerField()
    users_total = serializers.IntegerField()
    messages_total = serializers.IntegerField()
    input_tokens_total = serializers.IntegerField()
    output_tokens_total = serializers.IntegerField()
    total_tokens = serializers.IntegerField()
    flagged_total = serializers.IntegerField()
    feedback_positive = serializers.IntegerField()
    feedback_negative = serializers.IntegerField()
    satisfaction_rate = serializers.FloatField(allow_null=True)
