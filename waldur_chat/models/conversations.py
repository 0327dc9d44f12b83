"""Conversations: a user's session holds threads, and these hold messages (contract section 2)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel

NAME_MAX_LENGTH = 150
NEW_CHAT = "New chat"


class Severity(models.TextChoices):
    """The severity of what a guard found."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Session(DefaultDatabaseModel):
    """All conversations of one user."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    created = models.DateTimeField(default=timezone.now, editable=False)
    modified = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.uuid.hex


class Thread(DefaultDatabaseModel):
    """One conversation. `modified` is its last use.

    Columns that lists show, filter and order by are denormalized here and updated with the messages, so that no list
    aggregates them. Tokens are those of all its turns, replaced answers and the title included; 0 means none recorded.
    """

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="threads")
    name = models.CharField(max_length=NAME_MAX_LENGTH, default=NEW_CHAT)
    is_named = models.BooleanField(default=False)
    """Whether a user has set the name; the title of a model never replaces it then."""
    flags: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    is_archived = models.BooleanField(default=False)
    message_count = models.PositiveIntegerField(default=0)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    total_tokens = models.PositiveBigIntegerField(default=0)
    title_input_tokens = models.PositiveIntegerField(default=0)
    title_output_tokens = models.PositiveIntegerField(default=0)
    models_used = models.CharField(max_length=500, default="", blank=True)
    is_flagged = models.BooleanField(default=False)
    max_severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.NONE)
    positive_feedback = models.PositiveIntegerField(default=0)
    negative_feedback = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(default=timezone.now, editable=False)
    modified = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(DefaultDatabaseModel.Meta):
        indexes = [
            models.Index(fields=("session", "created", "id"), name="waldur_chat_thread_of_session"),
            models.Index(fields=("session", "modified", "id"), name="waldur_chat_thread_last_used"),
            models.Index(fields=("created", "id"), name="waldur_chat_thread_created"),
            models.Index(fields=("modified", "id"), name="waldur_chat_thread_modified"),
            models.Index(fields=("input_tokens", "id"), name="waldur_chat_thread_input"),
            models.Index(fields=("output_tokens", "id"), name="waldur_chat_thread_output"),
            models.Index(fields=("total_tokens", "id"), name="waldur_chat_thread_total"),
            models.Index(fields=("models_used", "id"), name="waldur_chat_thread_models"),
        ]

    def __str__(self) -> str:
        return self.name


class Message(DefaultDatabaseModel):
    """A message of the user or the assistant. Replaced versions stay, with the `sequence_index` of their replacement.

    The last five fields are for the results of guards; they keep their defaults until guards exist.
    """

    class Role(models.TextChoices):
        """The author of a message."""

        USER = "user"
        ASSISTANT = "assistant"

    class Status(models.TextChoices):
        """How the answer ended. A question has it from its turn if that gave no answer, and is complete otherwise."""

        COMPLETE = "complete"
        STOPPED = "stopped"
        FAILED = "failed"
        INTERRUPTED = "interrupted"
        LENGTH = "length"
        FILTERED = "filtered"
        WAITING = "waiting"

    class FeedbackCategory(models.TextChoices):
        """What was wrong with an answer."""

        INACCURATE = "inaccurate"
        INCOMPLETE = "incomplete"
        MISUNDERSTOOD = "misunderstood"
        OTHER = "other"
        SLOW_OR_FAILED = "slow_or_failed"

    class Action(models.TextChoices):
        """What a guard did."""

        ALLOW = "allow"
        FLAG = "flag"
        WARN = "warn"
        REDACT = "redact"
        BLOCK = "block"

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    thread = models.ForeignKey(Thread, on_delete=models.CASCADE, related_name="messages")
    role = models.CharField(max_length=9, choices=Role.choices)
    text = models.TextField()
    blocks: models.JSONField[Any] = models.JSONField(null=True, blank=True)
    """The blocks of an answer that calls of tools are part of; None for others, whose text has all blocks."""
    status = models.CharField(max_length=11, choices=Status.choices, default=Status.COMPLETE)
    code = models.CharField(max_length=50, default="", blank=True)
    """The code of the error that ended its turn."""
    warning = models.TextField(default="", blank=True)
    sequence_index = models.PositiveIntegerField()
    replaces = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    is_current = models.BooleanField(default=True)
    """Whether no other version has replaced it."""
    created = models.DateTimeField(default=timezone.now, editable=False)
    model = models.CharField(max_length=200, default="", blank=True)
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    feedback_score = models.BooleanField(null=True, blank=True)
    feedback_comment = models.TextField(default="", blank=True)
    feedback_category = models.CharField(max_length=14, choices=FeedbackCategory.choices, default="", blank=True)
    feedback_submitted_at = models.DateTimeField(null=True, blank=True)
    is_flagged = models.BooleanField(default=False)
    severity = models.CharField(max_length=8, choices=Severity.choices, default=Severity.NONE)
    injection_categories: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    pii_categories: models.JSONField[Any] = models.JSONField(default=dict, blank=True)
    action_taken = models.CharField(max_length=6, choices=Action.choices, default=Action.ALLOW)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=("thread", "sequence_index"),
                condition=models.Q(is_current=True),
                name="waldur_chat_message_has_one_current_version",
            )
        ]
        indexes = [
            models.Index(
                fields=("feedback_score", "id"),
                condition=models.Q(feedback_score__isnull=False),
                name="waldur_chat_message_feedback",
            ),
            models.Index(fields=("id",), condition=models.Q(is_flagged=True), name="waldur_chat_message_flagged"),
        ]

    def __str__(self) -> str:
        return f"{self.role}, {self.sequence_index}"
