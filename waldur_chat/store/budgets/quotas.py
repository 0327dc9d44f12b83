"""What a user may use and has used, as the API shows it. How turns take from that is in `budgets`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.models import Budget
from waldur_chat.models.budgets import UNLIMITED
from waldur_chat.store.budgets import accounts, periods


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodQuota:
    """Tokens of one period. `limit` is the user's own, None for the `default`; -1 is no limit in both."""

    limit: int | None
    default: int
    used: int
    reserved: int
    reset_at: datetime

    @property
    def remaining(self) -> int | None:
        """What may still be used, without what running turns hold; None for no limit."""
        limit = self.default if self.limit is None else self.limit
        return None if limit == UNLIMITED else max(0, limit - self.used - self.reserved)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The quota of one user."""

    daily: PeriodQuota
    weekly: PeriodQuota
    monthly: PeriodQuota


def of(user: Any, settings: Settings) -> Quota:
    """The quota of a user as it is now. One query."""
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
    """Give a user limits of their own, by the names of `Budget`'s fields; None takes one away. What is not named stays.

    One statement, so that it may meet a turn that makes the same row.
    """
    if limits:
        Budget.objects.bulk_create(
            [Budget(user_id=user.pk, **limits)],
            update_conflicts=True,
            unique_fields=["user"],
            update_fields=list(limits),
        )
