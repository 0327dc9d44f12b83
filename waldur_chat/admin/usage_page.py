"""Data of the usage page, from the sums of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.http import QueryDict
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _

from waldur_chat.admin.chart import Column, chart
from waldur_chat.store.budgets import usage
from waldur_chat.store.budgets.periods import first_days
from waldur_chat.store.budgets.usage import UsageSum

RANGES = (7, 30, 90, 365)
DEFAULT_RANGE = "30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table with formatted numbers. `query` links to the page filtered by this row."""

    name: str
    query: str
    turns: str
    input_tokens: str
    output_tokens: str
    total_tokens: str


def context(asked: QueryDict) -> dict[str, Any]:
    """The template context for a query: `days`, and optionally a `user` or a `model`.

    Raises `ValueError` or `ValidationError` for an invalid user ID.
    """
    number = next((one for one in RANGES if str(one) == asked.get("days", DEFAULT_RANGE)), int(DEFAULT_RANGE))
    today = first_days(timezone.now()).day
    only = {name: asked[name] for name in ("user", "model") if name in asked}
    days = usage.DateRange(first=today - timedelta(days=number - 1), last=today, only=only)
    by_day, by_user, by_model = usage.by_day(days), usage.by_user(days), usage.by_model(days)
    return {
        "ranges": [(one, _query(asked, days=one), one == number) for one in RANGES],
        "first": days.first,
        "last": days.last,
        "only": _names(only, by_user),
        "everything": _query(asked, user=None, model=None),
        "total": _row(usage.total(by_day), ""),
        "tokens": chart([_column(one, (one.input_tokens, one.output_tokens), _tokens(one)) for one in by_day]),
        "turns": chart([_column(one, (one.turns,), _turns(one)) for one in by_day]),
        "by_day": [_row(one, "", date_format(one.key)) for one in reversed(by_day) if one.turns or one.total_tokens],
        "by_user": [_row(one, _query(asked, user=one.key), one.name or _("Deleted users")) for one in by_user],
        "by_model": [_row(one, _query(asked, model=one.key)) for one in by_model],
    }


def _names(only: dict[str, Any], by_user: Sequence[UsageSum]) -> list[str]:
    """The active filters, for the heading."""
    user = next((one.name for one in by_user), only.get("user"))
    return [str(name) for name in (only.get("model"), "user" in only and user) if name]


def _query(asked: QueryDict, **changes: Any) -> str:
    """The query of this page with changed parameters; None removes one."""
    query = QueryDict(mutable=True)
    for name in ("days", "user", "model"):
        value = changes.get(name, asked.get(name))
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"


def _row(used: UsageSum, query: str, name: str = "") -> Row:
    numbers = {
        one: number_format(getattr(used, one), use_l10n=True, force_grouping=True)
        for one in ("turns", "input_tokens", "output_tokens", "total_tokens")
    }
    return Row(name=name or used.name or "-", query="" if used.key is None else query, **numbers)


def _column(used: UsageSum, values: Sequence[int], words: str) -> Column:
    day: date = used.key
    return Column(label=date_format(day, "j M"), title=f"{date_format(day)}: {words}", values=values)


def _tokens(used: UsageSum) -> str:
    row = _row(used, "")
    return _("%(input)s tokens in, %(output)s out") % {"input": row.input_tokens, "output": row.output_tokens}


def _turns(used: UsageSum) -> str:
    return _("%(number)s turns") % {"number": _row(used, "").turns}
