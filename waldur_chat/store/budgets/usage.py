"""Sums of the usage ledger by day, model and user."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import F, QuerySet, Sum

from waldur_chat.models import DayOfUsage

MOST_USERS = 100
_SUMS = {name: Sum(name) for name in ("turns", "input_tokens", "output_tokens")}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """Answers (`turns`), and tokens of all turns. `key` is the day, model or user; `name` is its name for people."""

    key: Any
    name: str
    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Input and output tokens."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """Days of the ledger, both ends included. `only` are further filters, by field names of `DayOfUsage`."""

    first: date
    last: date
    only: dict[str, Any]

    def rows(self) -> QuerySet[DayOfUsage]:
        """The rows of the ledger."""
        rows: QuerySet[DayOfUsage] = DayOfUsage.objects.filter(day__range=(self.first, self.last), **self.only)
        return rows


def by_day(days: DateRange) -> list[UsageSum]:
    """One sum for every day of the range, also for days without usage."""
    sums = {row["day"]: row for row in days.rows().values("day").annotate(**_SUMS).order_by()}
    all_days = [days.first + timedelta(days=number) for number in range((days.last - days.first).days + 1)]
    return [_usage_sum(day, day.isoformat(), sums.get(day, {})) for day in all_days]


def by_model(days: DateRange) -> list[UsageSum]:
    """One sum for every model, most tokens first."""
    return [_usage_sum(row["model"], row["model"], row) for row in _largest_first(days, "model")]


def by_user(days: DateRange) -> list[UsageSum]:
    """The users with the most tokens, at most `MOST_USERS`. The usage of deleted users is one sum, without a key."""
    rows = list(_largest_first(days, "user")[:MOST_USERS])
    users = get_user_model()._default_manager.in_bulk([row["user"] for row in rows if row["user"] is not None])
    return [_usage_sum(row["user"], str(users.get(row["user"], "")), row) for row in rows]


def total(parts: Iterable[UsageSum]) -> UsageSum:
    """The sum of all parts."""
    summands = list(parts)
    return UsageSum(key=None, name="", **{name: sum(getattr(part, name) for part in summands) for name in _SUMS})


def _largest_first(days: DateRange, name: str) -> Any:
    summed = days.rows().values(name).annotate(**_SUMS)
    return summed.order_by((F("input_tokens") + F("output_tokens")).desc(), name)


def _usage_sum(key: Any, name: str, sums: dict[str, Any]) -> UsageSum:
    return UsageSum(key=key, name=name, **{name: sums.get(name) or 0 for name in _SUMS})
