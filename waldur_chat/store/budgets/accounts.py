"""The tokens of users and of the site: reserved before a model is asked, charged when its turn has ended.

An account's row is locked from its reservation or charge to the end of the transaction, those of users in the order of
their keys, then that of the site: so no limit is overshot, no update lost, and there is no deadlock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import BudgetConflict, BudgetExhausted
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage
from waldur_chat.models.budgets import UNLIMITED
from waldur_chat.store import sql
from waldur_chat.store.budgets.periods import Periods, first_days, resets

PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}
COME_AGAIN_SECONDS = 5
"""When there may be room again where running turns hold what is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The row of a user or of the site as it was read, and its limits by period; what has no limit is left out."""

    row: Budget
    scope: str
    limits: Mapping[str, int]


def limits_of(budget: Budget | None, settings: Settings, scope: str) -> dict[str, int]:
    """The limits by period: an account's own where it has one, else those of the settings."""
    limits = {}
    for period in PERIODS:
        own = getattr(budget, f"{period}_limit", None)
        limits[period] = getattr(settings, f"{scope}_tokens_{period}") if own is None else own
    return {period: limit for period, limit in limits.items() if limit != UNLIMITED}


def limit_all(settings: Settings) -> bool:
    """Whether the settings limit those that have no limits of their own, or the site."""
    return any(limits_of(None, settings, scope) for scope in ("user", "site"))


def accounts(user: Any, settings: Settings) -> list[Account]:
    """The accounts that limit turns of a user: the user's own, then the site's. One query, where the accounts exist."""
    rows = {"site" if row.is_site else "user": row for row in Budget.objects.filter(Q(user=user.pk) | Q(is_site=True))}
    found = []
    for scope, owner in (("user", {"user_id": user.pk}), ("site", {"is_site": True})):
        if limits := limits_of(rows.get(scope), settings, scope):
            row = rows.get(scope) or Budget.objects.get_or_create(**owner)[0]
            found.append(Account(row=row, scope=scope, limits=limits))
    return found


def check(tokens: int, limited: Sequence[Account], settings: Settings) -> None:
    """Raise what `reserve` would raise if all was still as it was read: a crowd is refused without a write.

    Raises `BudgetExhausted`.
    """
    for account in limited:
        _check(account, account.row.reserved + tokens, tokens, settings)


def reserve(tokens: int, limited: Sequence[Account], settings: Settings) -> None:
    """Hold so many tokens in all these accounts; within a transaction that ends without any where one does not fit.

    Raises `BudgetExhausted`.
    """
    for account in limited:
        Budget.objects.filter(pk=account.row.pk).update(reserved=F("reserved") + tokens)
        locked = replace(account, row=Budget.objects.get(pk=account.row.pk))
        _check(locked, locked.row.reserved, tokens, settings)


def _check(account: Account, reserved: int, tokens: int, settings: Settings) -> None:
    """Raise `BudgetExhausted` where this would be too much to hold; `tokens` are those of the new turn among it."""
    used = used_in(account.row, timezone.now())
    for period, limit in account.limits.items():
        if used[period] + reserved > limit:
            error = BudgetExhausted if settings.budget_status == BudgetExhausted.status else BudgetConflict
            wait = _seconds_to_reset(period) if used[period] + tokens > limit else COME_AGAIN_SECONDS
            raise error(scope=account.scope, period=period, limit=limit, retry_after=wait)


def used_in(budget: Budget, moment: datetime) -> dict[str, int]:
    """What was used in each period that this moment is in; by a clock that is behind, in the newer one."""
    begun = first_days(moment).by_name()
    return {
        period: getattr(budget, f"{period}_tokens") if (getattr(budget, begin) or date.min) >= begun[begin] else 0
        for period, begin in PERIODS.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What a turn has used, if anything, and what was held for it and is let go."""

    user_id: Any
    """None where the user was deleted while the turn ran."""
    model: str
    usage: Usage
    turns: int
    reserved: int

    @property
    def tokens(self) -> int:
        """All together."""
        return self.usage.input_tokens + self.usage.output_tokens


def entering(charges: Sequence[Charge]) -> list[sql.Act]:
    """The statements that enter charges in the ledger and in the accounts, within one transaction.

    Transactions that lock the same rows lock them in this order, so that there is no deadlock: users by their keys, of
    each the ledger and then the account; then the site's account, which all turns need: it is locked last and shortest.
    """
    today = first_days(timezone.now())
    entered = [charge for charge in charges if charge.tokens or charge.reserved]
    known = sorted((one for one in entered if one.user_id is not None), key=attrgetter("user_id", "model"))
    acts = [_line(today, [one]) for one in entered if one.user_id is None and one.tokens]
    for user_id, of_user in groupby(known, attrgetter("user_id")):
        theirs = list(of_user)
        used = [charge for charge in theirs if charge.tokens]
        acts += [_line(today, list(of_model)) for _, of_model in groupby(used, attrgetter("model"))]
        acts.append(_account(today, theirs, "user_id", user_id))
    return [*acts, _account(today, entered, "is_site", True)] if entered else []


def _line(today: Periods, charges: Sequence[Charge]) -> sql.Act:
    """Add these of one user and one model to the ledger; of a user who was deleted each has a line of its own."""
    values = {
        "day": today.day,
        "user_id": charges[0].user_id,
        "model": charges[0].model[:200],
        "turns": sum(one.turns for one in charges),
        "input_tokens": sum(one.usage.input_tokens for one in charges),
        "output_tokens": sum(one.usage.output_tokens for one in charges),
    }
    return _adding(tuple(values)), sql.prepared(DayOfUsage, values)


@sql.composed
def _adding(names: Sequence[str]) -> str:
    """Insert the line of the day or add to it. In one statement: of two turns that find no line, none fails or is lost.

    The ORM has no such statement: `bulk_create()` can replace values of a row that is there, but not add to them.
    """
    line = sql.table(DayOfUsage)
    sums = ", ".join(f"{name} = {line}.{name} + EXCLUDED.{name}" for name in ("turns", "input_tokens", "output_tokens"))
    return (
        f"INSERT INTO {line} ({', '.join(names)}) VALUES ({sql.places(len(names))}) "  # noqa: S608  # No values in it.
        f"ON CONFLICT (day, user_id, model) DO UPDATE SET {sums}"
    )


def _account(today: Periods, charges: Sequence[Charge], owner: str, key: object) -> sql.Act:
    """Charge an account, and let go of what these have reserved."""
    tokens, reserved = (sum(getattr(one, name) for one in charges) for name in ("tokens", "reserved"))
    periods = today.by_name()
    values = {owner: key, "reserved": 0, **periods, **{f"{name}_tokens": tokens for name in PERIODS}}
    return _charging(owner, tuple(values)), [*sql.prepared(Budget, values), reserved, reserved]


@sql.composed
def _charging(owner: str, names: Sequence[str]) -> str:
    """Charge the account as it is when its row is locked, or insert it: what others charge meanwhile is not lost.

    The first charge of a period starts it at 0; a process whose clock is behind charges the newer period. Where more is
    let go than is reserved, as after a row was edited by hand, 0 is left.
    """
    account = sql.table(Budget)
    changes = [f"reserved = CASE WHEN {account}.reserved > %s THEN {account}.reserved - %s ELSE 0 END"]
    for period, begin in PERIODS.items():
        is_newer, tokens = f"CASE WHEN {account}.{begin} >= EXCLUDED.{begin}", f"{period}_tokens"
        changes.append(f"{tokens} = EXCLUDED.{tokens} + {is_newer} THEN {account}.{tokens} ELSE 0 END")
        changes.append(f"{begin} = {is_newer} THEN {account}.{begin} ELSE EXCLUDED.{begin} END")
    return (
        f"INSERT INTO {account} ({', '.join(names)}) VALUES ({sql.places(len(names))}) "  # noqa: S608  # No values in it.
        f"ON CONFLICT ({owner}) DO UPDATE SET {', '.join(changes)}"
    )


def _seconds_to_reset(period: str) -> int:
    now = timezone.now()
    reset: datetime = getattr(resets(now), period)
    return max(1, math.ceil((reset - now).total_seconds()))
