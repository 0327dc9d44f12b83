"""Days, weeks and months of budgets: when each began and when the next one begins (contract section 2, quota usage).

They are those of the site's time zone. A host may activate other time zones for its users, but no account could be kept
in two of them: the turn that a request begins is settled where that request is no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.conf import settings
from django.utils import timezone


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """The first days of a day (itself), of its week (a Monday, ISO 8601) and of its month."""

    day: date
    week: date
    month: date

    def by_name(self) -> dict[str, date]:
        """They by their names; `asdict` copies each."""
        return {"day": self.day, "week": self.week, "month": self.month}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resets:
    """When the next day, week and month begin; aware times where the host has `USE_TZ`."""

    daily: datetime
    weekly: datetime
    monthly: datetime


def first_days(moment: datetime) -> Periods:
    """The periods that this moment is in. A naive time is one of the site."""
    day = (moment.astimezone(timezone.get_default_timezone()) if timezone.is_aware(moment) else moment).date()
    return Periods(day=day, week=day - timedelta(days=day.weekday()), month=day.replace(day=1))


def resets(moment: datetime) -> Resets:
    """When the periods that this moment is in are over."""
    now = first_days(moment)
    return Resets(
        daily=_midnight(now.day + timedelta(days=1)),
        weekly=_midnight(now.week + timedelta(days=7)),
        monthly=_midnight((now.month + timedelta(days=31)).replace(day=1)),
    )


def _midnight(day: date) -> datetime:
    """Its first moment, also where clocks skip midnight or strike it twice."""
    begin = datetime.combine(day, time.min)
    return timezone.make_aware(begin, timezone.get_default_timezone()) if settings.USE_TZ else begin
