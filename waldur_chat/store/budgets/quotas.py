"""Quotas as the API shows them: what a user may use and has used. Reserving and charging is in `accounts`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.models import Budget
from waldur_chat.models.budgets import UNLIMITED
from waldur_chat.store import support
from waldur_chat.store.budgets import accounts, periods


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodQuota:
    """Tokens of one period. `limit` overrides `default`, unless it is None; -1 means no limit in both."""

    limit: int | None
    default: int
    used: int
    reserved: int
    reset_at: datetime

    @property
    def remaining(self) -> int | None:
        """What may still be used, less the reservations of running turns; None for no limit."""
        limit = self.default if self.limit is None else self.limit
        return None if limit == UNLIMITED else max(0, limit - self.used - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The quota of one user."""

    daily: PeriodQuota
    weekly: PeriodQuota
    monthly: PeriodQuota


def load_quota(user: Any, settings: Settings) -> Quota:
    """The current quota of a user. One query."""
    budget = Budget.objects.filter(user_id=user.pk).first() or Budget()
    now = timezone.now()
    used, ends = accounts.used_in(budget, now), periods.resets(now)
    return Quota(
        **{
            period: PeriodQuota(
                limit=getattr(budget, f"{period}_limit"),
                default=getattr(settings, f"user_tokens_{period}"),
                used=used[period],
                reserved=budget.reserved,
                reset_at=getattr(ends, period),
            )
            for period in accounts.PERIODS
        }
    )


def set_limits(user: Any, **limits: int | None) -> None:
    """Set limits of a user, by field names of `Budget`; None removes one. Other limits stay.

    It is one upsert, since a turn may create the user's row at the same time. Raises `ChatNotConfigured` where the
    database cannot limit tokens: there each question of the user would be refused.
    """
    if not support.is_supported():
        raise ChatNotConfigured("Tokens cannot be limited in this kind of database: use PostgreSQL or SQLite")
    if limits:
        Budget.objects.bulk_create(
            [Budget(user_id=user.pk, **limits)],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=list(limits),
        )
