"""Count the questions of the site by the minute, in the database, since processes share nothing else."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F
from django.utils import timezone

from waldur_chat.errors import SiteThrottled
from waldur_chat.models import MinuteOfRequests

SECONDS = 60


def count(limit: int) -> None:
    """Count a question. Raises `SiteThrottled` if the limit of this minute is reached; then it is not counted."""
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    if _add(minute, limit) or _begin(minute) or _add(minute, limit):
        return
    raise SiteThrottled(retry_after=SECONDS - now.second)


def _add(minute: datetime, limit: int) -> bool:
    """Add to an existing minute in which there is room: one statement, so that processes cannot exceed the limit."""
    rows = MinuteOfRequests.objects.filter(minute=minute, requests__lt=limit)
    return bool(rows.update(requests=F("requests") + 1))


def _begin(minute: datetime) -> bool:
    """Begin a minute with its first question, and delete earlier ones. Returns whether this process began it."""
    is_new = bool(MinuteOfRequests.objects.get_or_create(minute=minute, defaults={"requests": 1})[1])
    if is_new:
        MinuteOfRequests.objects.filter(minute__lt=minute).delete()
    return is_new
