"""Tools of MCP servers, with the definitions that staff have seen."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel


class PinnedTool(DefaultDatabaseModel):
    """A tool as its server described it last. It is offered if that is what staff have accepted, and not otherwise.

    `server` is the name in the settings, `tool` the one that the server uses, `name` the one that models use.
    `definition` is canonical JSON and `hash` its hash. The accepted ones are kept too, to show what has changed.
    """

    class Status(models.TextChoices):
        """What staff have said of the definition, if they have said anything."""

        NEW = "new"
        ACCEPTED = "accepted"
        CHANGED = "changed"
        REFUSED = "refused"

    server = models.CharField(max_length=32)
    tool = models.CharField(max_length=128)
    name = models.CharField(max_length=64, unique=True)
    definition = models.TextField()
    hash = models.CharField(max_length=64)
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.NEW)
    accepted_definition = models.TextField(default="", blank=True)
    accepted_hash = models.CharField(max_length=64, default="", blank=True)
    is_listed = models.BooleanField(default=True)
    """Whether the server still has it."""
    created = models.DateTimeField(default=timezone.now, editable=False)
    changed = models.DateTimeField(default=timezone.now, editable=False)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [models.UniqueConstraint(fields=("server", "tool"), name="waldur_chat_pinned_tool_once")]

    @property
    def is_waiting(self) -> bool:
        """Whether staff have to look at it."""
        return self.is_listed and self.status in (self.Status.NEW, self.Status.CHANGED)

    def __str__(self) -> str:
        return self.name
