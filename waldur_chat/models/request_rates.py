"""Requests of the site by the minute, which limit their rate across processes."""

from __future__ import annotations

from django.db import models

from waldur_chat.models.base import DefaultDatabaseModel


class MinuteOfRequests(DefaultDatabaseModel):
    """How many questions all users together have asked in a minute. Earlier minutes are deleted."""

    minute = models.DateTimeField(unique=True)
    requests = models.PositiveIntegerField(default=0)

    class Meta(DefaultDatabaseModel.Meta):
        verbose_name = "minute of requests"
        verbose_name_plural = "minutes of requests"

    def __str__(self) -> str:
        return f"{self.minute}, {self.requests}"
