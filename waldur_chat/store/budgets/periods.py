"""Days, weeks and months of budgets: when each began and when the next one begins (contract section 2, quota usage).

Periods are in the site's time zone. A host may activate another time zone for each request, but a turn is charged
after its request, in another thread, where that time zone is not known.
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
        """The first days by name, without the deep copies of `dataclasses.asdict()`."""
        return {"day": self.day, "week": self.week, "month": self.month}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resets:
    """When the next day, week and month begin; aware times where the host has `USE_TZ`."""

    daily: datetime
    weekly: datetime
    monthly: datetime


def first_days(moment: datetime) -> Periods:
    """The first days of the periods that contain this moment. A naive time is in the site's time zone."""
    day = (moment.astimezone(timezone.get_default_timezone()) if timezone.is_aware(moment) else moment).date()
    return Periods(day=day, week=day - timedelta(days=day.weekday()), month=day.replace(day=1))


def resets(moment: datetime) -> Resets:
    """When the periods that contain this moment end."""
    now = first_days(moment)
    return Resets(
        daily=_midnight(now.day + timedelta(days=1)),
        weekly=_midnight(now.week + timedelta(days=7)),
        monthly=_midnight((now.month + timedelta(days=31)).replace(day=1)),
    )


def _midnight(day: date) -> datetime:
    """The first moment of the day, also if a clock change skips or repeats midnight."""
    begin = datetime.combine(day, time.min)
    return timezone.make_aware(begin, timezone.get_default_timezone()) if settings.USE_TZ else begin
