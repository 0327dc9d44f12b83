"""Tokens: how many a user and the site may use, and how many they used."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from waldur_chat.models.base import DefaultDatabaseModel

UNLIMITED = -1


def limit() -> models.BigIntegerField[int | None, int | None]:
    """Tokens that may be used in a period: None for the site's default, -1 for no limit."""
    return models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(UNLIMITED)],
        help_text=_("Tokens. Empty: the site's default; -1: no limit; 0: nothing."),
    )


class Budget(DefaultDatabaseModel):
    """The account of one user, or of the site (which has none), with limits of its own where it has any.

    The tokens of a period are those since its first day; a new period begins at 0. `reserved` is held for turns that
    run: used and reserved together never pass a limit.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    is_site = models.BooleanField(null=True, unique=True, editable=False)
    """True in the site's row, else empty; so there is one."""
    daily_limit = limit()
    weekly_limit = limit()
    monthly_limit = limit()
    day = models.DateField(null=True, editable=False)
    daily_tokens = models.PositiveBigIntegerField(default=0, editable=False)
    week = models.DateField(null=True, editable=False)
    weekly_tokens = models.PositiveBigIntegerField(default=0, editable=False)
    month = models.DateField(null=True, editable=False)
    monthly_tokens = models.PositiveBigIntegerField(default=0, editable=False)
    reserved = models.PositiveBigIntegerField(default=0, editable=False)

    def __str__(self) -> str:
        return str(_("The site")) if self.is_site else str(self.user)


class DayOfUsage(DefaultDatabaseModel):
    """What one user used of one model on one day, titles included: the ledger. It stays when conversations go."""

    day = models.DateField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+")
    model = models.CharField(max_length=200)
    turns = models.PositiveIntegerField(default=0)
    """Answers, complete or not; titles do not count."""
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=("day", "user", "model"), name="waldur_chat_usage_is_counted_once")
        ]
        verbose_name_plural = "days of usage"

    def __str__(self) -> str:
        return f"{self.day}, {self.user}, {self.model}"
