"""System prompts: instructions of staff to the model, which every prompt starts with."""

from __future__ import annotations

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel


class SystemPrompt(DefaultDatabaseModel):
    """Named instructions in their current version; at most one is active."""

    uuid = models.UUIDField(default=uuid4, unique=True, editable=False)
    name = models.CharField(max_length=150)
    description = models.TextField(default="", blank=True)
    custom_instructions = models.TextField(default="", blank=True)
    is_active = models.BooleanField(default=False)
    created = models.DateTimeField(default=timezone.now, editable=False)
    modified = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=("is_active",), condition=models.Q(is_active=True), name="waldur_chat_one_prompt_is_active"
            )
        ]

    def __str__(self) -> str:
        return self.name


class SystemPromptVersion(DefaultDatabaseModel):
    """The instructions from `created` on, and their author. Turns refer to the version that they used."""

    prompt = models.ForeignKey(SystemPrompt, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    custom_instructions = models.TextField(default="", blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    created = models.DateTimeField(default=timezone.now, editable=False)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=("prompt", "number"), name="waldur_chat_prompt_version_is_numbered")
        ]

    def __str__(self) -> str:
        return f"{self.prompt}, {self.number}"
