"""Sums of the ledger: what was used on which day, of which model, by whom."""

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
class Used:
    """Answers, and tokens of all turns. `key` is what this was used on, of or by; `name` is that for people."""

    key: Any
    name: str
    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """All tokens."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Days of the ledger, both ends included, and whose or of which model only."""

    first: date
    last: date
    only: dict[str, Any]

    def rows(self) -> QuerySet[DayOfUsage]:
        """Those of the ledger."""
        rows: QuerySet[DayOfUsage] = DayOfUsage.objects.filter(day__range=(self.first, self.last), **self.only)
        return rows


def by_day(days: Range) -> list[Used]:
    """Every day of the range, also those on which nothing was used."""
    sums = {row["day"]: row for row in days.rows().values("day").annotate(**_SUMS).order_by()}
    all_days = [days.first + timedelta(days=number) for number in range((days.last - days.first).days + 1)]
    return [_used(day, day.isoformat(), sums.get(day, {})) for day in all_days]


def by_model(days: Range) -> list[Used]:
    """The models, those with the most tokens first."""
    return [_used(row["model"], row["model"], row) for row in _ordered(days, "model")]


def by_user(days: Range) -> list[Used]:
    """Those of the users who used the most, in this order. What deleted users used is in one row, without a key."""
    rows = list(_ordered(days, "user")[:MOST_USERS])
    users = get_user_model()._default_manager.in_bulk([row["user"] for row in rows if row["user"] is not None])
    return [_used(row["user"], str(users.get(row["user"], "")), row) for row in rows]


def total(parts: Iterable[Used]) -> Used:
    """The sum."""
    found = list(parts)
    return Used(key=None, name="", **{name: sum(getattr(part, name) for part in found) for name in _SUMS})


def _ordered(days: Range, name: str) -> Any:
    summed = days.rows().values(name).annotate(**_SUMS)
    return summed.order_by((F("input_tokens") + F("output_tokens")).desc(), name)


def _used(key: Any, name: str, sums: dict[str, Any]) -> Used:
    return Used(key=key, name=name, **{name: sums.get(name) or 0 for name in _SUMS})
