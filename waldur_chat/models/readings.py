"""The audit trail: which staff and support users read conversations of others, or asked in their name."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone

from waldur_chat.models.base import DefaultDatabaseModel


class Reading(DefaultDatabaseModel):
    """An audit entry: a user of staff or support read a conversation of another user, or asked a question as that user.

    It contains no text of either.
    """

    class Act(models.TextChoices):
        """What they did."""

        READ = "read"
        ASKED = "asked"

    reader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    thread = models.UUIDField(db_index=True)
    act = models.CharField(max_length=5, choices=Act.choices, default=Act.READ)
    place = models.CharField(max_length=5, choices=[("api", "API"), ("admin", "Admin")])
    read = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta(DefaultDatabaseModel.Meta):
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.reader}, {self.thread.hex}"
