"""Token budgets of users and of the site, the usage ledger, and what models have reported of tokens and texts."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from waldur_chat.models.base import DefaultDatabaseModel

UNLIMITED = -1


def limit() -> models.BigIntegerField[int | None, int | None]:
    """A field for the tokens of a period: None for the default of the settings, -1 for no limit."""
    return models.BigIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(UNLIMITED)],
        help_text=_("Tokens. Empty: the site's default; -1: no limit; 0: nothing."),
    )


class Budget(DefaultDatabaseModel):
    """The account of one user, or of the site, which has no user. Its limits override those of the settings.

    The tokens of a period count from its first day; a new period begins at 0. `reserved` are tokens held for running
    turns: a turn begins only if used and reserved tokens together do not exceed a limit.
    """

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    is_site = models.BooleanField(null=True, unique=True, editable=False)
    """True in the site's row, otherwise NULL, so that the unique constraint allows only one such row."""
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
    """The usage ledger: tokens of one user, model and day, titles included. It outlives conversations."""

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


class TokenRatio(DefaultDatabaseModel):
    """How much text of a kind a model has reported to have so many characters per token: a bar of a histogram.

    From these, `store.budgets.token_estimates` estimates the tokens of a text before they are reported. One row for
    each bar, so that processes can add to it at once.
    """

    model = models.CharField(max_length=200)
    kind = models.PositiveSmallIntegerField()
    """What is measured: answers, or prompts by script and share of symbols."""
    step = models.PositiveSmallIntegerField()
    """The characters per token, in sixteenths."""
    reports = models.PositiveBigIntegerField(default=0)
    weight = models.PositiveBigIntegerField(default=0)
    """Characters of all these texts: a long one says more than a short one."""

    class Meta(DefaultDatabaseModel.Meta):
        constraints = [
            models.UniqueConstraint(fields=("model", "kind", "step"), name="waldur_chat_token_ratio_is_one_bar")
        ]

    def __str__(self) -> str:
        return f"{self.model}, {self.kind}, {self.step}"
