"""Filters, search and order of conversation lists (contract section 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone

from waldur_chat import users
from waldur_chat.models import Message, Thread

EARLIEST, LATEST = date(1900, 1, 1), date(9000, 1, 1)
"""Dates are clamped to these: no conversation is outside, and time zone arithmetic cannot overflow within."""

_NAMES = ("full_name", "native_name", "email")


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadFilter:
    """The conditions; None and empty match everything. Days are in the current time zone, both ends included.

    `minima` and `maxima` are limits by token column. `user` is a UUID as `users.uuid_of` gives it.
    """

    created_after: date | None = None
    created_before: date | None = None
    modified_after: date | None = None
    modified_before: date | None = None
    has_feedback: bool | None = None
    is_archived: bool | None = None
    is_flagged: bool | None = None
    max_severity: str = ""
    minima: dict[str, int] | None = None
    maxima: dict[str, int] | None = None
    query: str = ""
    user: UUID | None = None


def filtered(threads: QuerySet[Thread], wanted: ThreadFilter) -> QuerySet[Thread]:
    """The threads that match the filter."""
    conditions = Q(**_equalities(wanted), **_days(wanted), **_tokens(wanted))
    if wanted.has_feedback is not None:
        rated = Q(positive_feedback__gt=0) | Q(negative_feedback__gt=0)
        conditions &= rated if wanted.has_feedback else ~rated
    if wanted.user is not None:
        owner = users.find(wanted.user)
        conditions &= Q(session__user=owner.pk) if owner else Q(pk__in=[])
    threads = threads.filter(conditions)
    return _containing(threads, wanted.query) if wanted.query else threads


def ordered(threads: QuerySet[Thread], keys: Sequence[str]) -> QuerySet[Thread]:
    """Order threads by columns, descending with a leading `-`; newest first if none is given.

    The id is the last key and makes the order unique. It has the direction of the last column, as indexes have it.
    """
    columns = {key.lstrip("-"): key for key in reversed(keys)}
    chosen = list(reversed(columns.values())) or ["-created"]
    in_order: QuerySet[Thread] = threads.order_by(*chosen, "-id" if chosen[-1].startswith("-") else "id")
    return in_order


def _equalities(wanted: ThreadFilter) -> dict[str, Any]:
    values = {
        "is_archived": wanted.is_archived,
        "is_flagged": wanted.is_flagged,
        "max_severity": wanted.max_severity or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _tokens(wanted: ThreadFilter) -> dict[str, int]:
    minima = {f"{column}__gte": tokens for column, tokens in (wanted.minima or {}).items()}
    maxima = {f"{column}__lte": tokens for column, tokens in (wanted.maxima or {}).items()}
    return minima | maxima


def _days(wanted: ThreadFilter) -> dict[str, datetime]:
    """Conditions on days as ranges of times, which an index can serve, unlike the `__date` lookup."""
    conditions = {}
    for column in ("created", "modified"):
        if (after := getattr(wanted, f"{column}_after")) is not None:
            conditions[f"{column}__gte"] = _midnight(after)
        if (before := getattr(wanted, f"{column}_before")) is not None:
            conditions[f"{column}__lt"] = _midnight(min(before, LATEST) + timedelta(days=1))
    return conditions


def _midnight(day: date) -> datetime:
    begin = datetime.combine(max(EARLIEST, min(day, LATEST + timedelta(days=1))), time.min)
    return timezone.make_aware(begin) if settings.USE_TZ else begin


def _containing(threads: QuerySet[Thread], words: str) -> QuerySet[Thread]:
    """Threads whose name, owner or current messages contain these words, ignoring case."""
    messages = Message.objects.filter(thread=OuterRef("pk"), is_current=True, text__icontains=words)
    conditions: Q = Q(Exists(messages)) | Q(name__icontains=words)
    # The host chooses the user model, so only the fields that it has are searched.
    columns = {field.name for field in get_user_model()._meta.get_fields()}
    for name in {get_user_model().USERNAME_FIELD, *_NAMES} & columns:
        conditions |= Q(**{f"session__user__{name}__icontains": words})
    parts = [(F(f"session__user__{name}"), Value(" ")) for name in ("first_name", "last_name") if name in columns]
    # Concat() takes at least two expressions, and the user model may have neither name.
    whole_name = Concat(Value(""), Value(""), *chain(*parts))
    conditions |= Q(owner_name__icontains=words)
    matching: QuerySet[Thread] = threads.alias(owner_name=whole_name).filter(conditions)
    return matching
