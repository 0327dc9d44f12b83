"""Days, weeks and months: where they begin, over DST, ends of years and time zones."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from django.utils import timezone as django_timezone

from waldur_chat.store.budgets.periods import Periods, Resets, first_days, resets

UTC = timezone.utc


def utc(*numbers: int) -> datetime:
    """A moment in UTC."""
    return datetime(*numbers, tzinfo=UTC)


@pytest.fixture
def zone(settings):
    """Sets the site's time zone."""

    def sets(name: str) -> None:
        settings.USE_TZ, settings.TIME_ZONE = True, name

    return sets


def test_a_day_is_in_the_week_of_its_monday_and_the_month_of_its_first(zone):
    zone("UTC")
    assert first_days(utc(2026, 7, 16, 12)) == Periods(
        day=date(2026, 7, 16), week=date(2026, 7, 13), month=date(2026, 7, 1)
    )


def test_a_monday_that_is_the_first_is_all_three(zone):
    zone("UTC")
    monday = date(2026, 6, 1)
    assert first_days(utc(2026, 6, 1)) == Periods(day=monday, week=monday, month=monday)


def test_the_week_of_new_year_begins_in_the_old_one(zone):
    zone("UTC")
    assert first_days(utc(2027, 1, 1)) == Periods(day=date(2027, 1, 1), week=date(2026, 12, 28), month=date(2027, 1, 1))


def test_the_next_periods_begin_at_midnight_on_monday_and_on_the_first(zone):
    zone("UTC")
    assert resets(utc(2026, 7, 16, 12)) == Resets(
        daily=utc(2026, 7, 17), weekly=utc(2026, 7, 20), monthly=utc(2026, 8, 1)
    )


def test_december_is_followed_by_january(zone):
    zone("UTC")
    assert resets(utc(2026, 12, 31, 23, 59)) == Resets(
        daily=utc(2027, 1, 1), weekly=utc(2027, 1, 4), monthly=utc(2027, 1, 1)
    )


def test_every_length_of_month_is_followed_by_the_next_first(zone):
    zone("UTC")
    days = [date(2027, 1, 1) + timedelta(days=number) for number in range(800)]
    assert all(resets(utc(day.year, day.month, day.day)).monthly.day == 1 for day in days)


def test_midnight_itself_belongs_to_the_new_day(zone):
    zone("UTC")
    assert resets(utc(2026, 7, 16)).daily == utc(2026, 7, 17)


def test_the_day_is_that_of_the_sites_time_zone(zone):
    zone("Pacific/Auckland")
    assert first_days(utc(2026, 7, 16, 12, 30)).day == date(2026, 7, 17)


def test_a_zone_that_is_activated_for_a_user_changes_nothing(zone):
    zone("UTC")
    with django_timezone.override("Pacific/Auckland"):
        assert first_days(utc(2026, 7, 16, 12, 30)).day == date(2026, 7, 16)


@pytest.mark.parametrize(
    ("noon", "midnight"),
    [
        (utc(2026, 3, 28, 23, 30), utc(2026, 3, 29, 22)),
        (utc(2026, 10, 24, 22, 30), utc(2026, 10, 25, 23)),
    ],
    ids=["spring", "autumn"],
)
def test_a_day_of_23_or_25_hours_ends_at_local_midnight(zone, noon, midnight):
    zone("Europe/Berlin")
    assert resets(noon).daily == midnight


def test_where_clocks_skip_midnight_the_day_begins_as_they_jump(zone):
    zone("Africa/Cairo")
    assert resets(utc(2026, 4, 23, 12)).daily.astimezone(UTC) == utc(2026, 4, 23, 22)


def test_where_midnight_strikes_twice_the_first_one_counts(zone):
    zone("Atlantic/Azores")
    assert resets(utc(2026, 10, 24, 12)).daily.astimezone(UTC) == utc(2026, 10, 25, 0)


def test_without_time_zones_all_times_are_naive(settings):
    settings.USE_TZ = False
    assert resets(datetime(2026, 7, 16, 12)) == Resets(
        daily=datetime(2026, 7, 17), weekly=datetime(2026, 7, 20), monthly=datetime(2026, 8, 1)
    )


def test_a_reset_is_the_first_moment_of_the_next_day_in_every_zone_and_hour(zone):
    for name in ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Africa/Cairo", "Pacific/Kiritimati"):
        zone(name)
        for hour in range(0, 24 * 366, 7):
            moment = utc(2026, 1, 1) + timedelta(hours=hour)
            reset = resets(moment).daily.astimezone(UTC)
            before, after = (first_days(reset + timedelta(seconds=seconds)).day for seconds in (-1, 0))
            assert (before, after) == (first_days(moment).day, before + timedelta(days=1)), (name, moment)
