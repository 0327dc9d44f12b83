"""The tokens of users and of the site: reserved before a model is asked, charged when its turn has ended.

An account's row is locked from its reservation or charge to the end of the transaction, those of users in the order of
their keys, then that of the site: so no limit is overshot, no update lost, and nobody waits in a circle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import BudgetConflict, BudgetExhausted
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage
from waldur_chat.models.budgets import UNLIMITED
from waldur_chat.store import sql
from waldur_chat.store.budgets.periods import first_days, resets

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
    """The accounts that limit turns of this user: his own, then the site's. One query, where the accounts exist.

    An anonymous user, who has no key, has no account.
    """
    rows = {"site" if row.is_site else "user": row for row in Budget.objects.filter(Q(user=user.pk) | Q(is_site=True))}
    found = []
    owners: dict[str, dict[str, Any]] = {"user": {"user_id": user.pk}, "site": {"is_site": True}}
    if user.pk is None:
        del owners["user"]
    for scope, owner in owners.items():
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
    """None where the user was deleted while his turn ran, and of an anonymous one."""
    model: str
    usage: Usage
    turns: int
    reserved: int

    @property
    def tokens(self) -> int:
        """All together."""
        return self.usage.input_tokens + self.usage.output_tokens


class Booking:
    """Enters charges in the ledger and in the accounts, all of them in an order in which nobody waits in a circle.

    Within one transaction `acts` are executed, then `complete` is called.
    """

    def __init__(self, charges: Sequence[Charge]) -> None:
        self._today = first_days(timezone.now())
        entered = [charge for charge in charges if charge.tokens or charge.reserved]
        known = sorted((one for one in entered if one.user_id is not None), key=attrgetter("user_id", "model"))
        nobodys = (one for one in entered if one.user_id is None and one.tokens)
        self._of_nobody = sorted(nobodys, key=attrgetter("model"))
        self._of_site = entered
        self._steps: list[tuple[sql.Act, Callable[[], None]]] = []
        for user_id, of_user in groupby(known, attrgetter("user_id")):
            self._enter_user(user_id, list(of_user))

    def acts(self) -> list[sql.Act]:
        """Enter them where there are rows already. The site's is not among them: it is locked last, and shortest."""
        return [act for act, _ in self._steps]

    def complete(self, changed: Sequence[int]) -> None:
        """Do what is left to do; `changed` is how many rows each of the acts has found."""
        for found, (_, make) in zip(changed, self._steps, strict=True):
            if not found:
                make()
        self._steps.clear()  # They point back: all would wait for the garbage collector.
        for _, of_model in groupby(self._of_nobody, attrgetter("model")):
            line = self._line(None, list(of_model))
            if not _to_line_of_nobody(*line):
                self._new_line(*line)
        if self._of_site and not sql.execute(*self._to_account(self._of_site, is_site=True)):
            self._new_account(self._of_site, is_site=True)

    def _enter_user(self, user_id: Any, charges: Sequence[Charge]) -> None:
        """One line for each model, then the account; with what is done instead where there is no row."""
        used = [charge for charge in charges if charge.tokens]
        for _, of_model in groupby(used, attrgetter("model")):
            line = self._line(user_id, list(of_model))
            self._steps.append((_to_line(*line), partial(self._new_line, *line)))
        make = partial(self._new_account, charges, user_id=user_id)
        self._steps.append((self._to_account(charges, user_id=user_id), make))

    def _line(self, user_id: Any, charges: Sequence[Charge]) -> tuple[dict[str, Any], dict[str, int]]:
        """That of the ledger, and what is added to it."""
        line = {"day": self._today.day, "user_id": user_id, "model": charges[0].model[:200]}
        sums = {
            "turns": sum(one.turns for one in charges),
            "input_tokens": sum(one.usage.input_tokens for one in charges),
            "output_tokens": sum(one.usage.output_tokens for one in charges),
        }
        return line, sums

    def _new_line(self, line: Mapping[str, Any], sums: Mapping[str, int]) -> None:
        try:
            with transaction.atomic():
                DayOfUsage.objects.create(**line, **sums)
        except IntegrityError:  # Another turn has made the line meanwhile.
            sql.execute(*_to_line(line, sums))

    def _to_account(self, charges: Sequence[Charge], **owner: Any) -> sql.Act:
        """A process whose clock is behind counts into the newer period."""
        tokens, reserved = (sum(getattr(one, name) for one in charges) for name in ("tokens", "reserved"))
        values: list[Any] = [reserved, reserved]
        *begun, who = sql.all_stored(Budget, {**self._today.by_name(), **owner})
        for first in begun:
            values += [tokens, first, first, first]
        return _charging(*owner), [*values, who]

    def _new_account(self, charges: Sequence[Charge], **owner: Any) -> None:
        Budget.objects.get_or_create(**owner)
        sql.execute(*self._to_account(charges, **owner))


def _to_line(line: Mapping[str, Any], sums: Mapping[str, int]) -> sql.Act:
    return _adding(tuple(line), tuple(sums)), [*sums.values(), *sql.all_stored(DayOfUsage, line)]


def _to_line_of_nobody(line: Mapping[str, Any], sums: Mapping[str, int]) -> int:
    """Add to the one that there is; no constraint keeps it from being two, since no null is another's equal."""
    found = DayOfUsage.objects.filter(**line).order_by("pk").values_list("pk", flat=True).first()
    more = {name: F(name) + sums[name] for name in sums}
    return int(DayOfUsage.objects.filter(pk=found).update(**more))


@sql.composed
def _adding(line: Sequence[str], sums: Sequence[str]) -> str:
    changes = ", ".join(f"{name} = {name} + %s" for name in sums)
    where = " AND ".join(f"{name} = %s" for name in line)
    return f"UPDATE {sql.table(DayOfUsage)} SET {changes} WHERE {where}"  # noqa: S608  # No values in it.


@sql.composed
def _charging(name: str) -> str:
    changes = ["reserved = CASE WHEN reserved > %s THEN reserved - %s ELSE 0 END"]
    for period, begin in PERIODS.items():
        changes.append(f"{period}_tokens = %s + CASE WHEN {begin} >= %s THEN {period}_tokens ELSE 0 END")
        changes.append(f"{begin} = CASE WHEN {begin} >= %s THEN {begin} ELSE %s END")
    return f"UPDATE {sql.table(Budget)} SET {', '.join(changes)} WHERE {name} = %s"  # noqa: S608  # No values in it.


def _seconds_to_reset(period: str) -> int:
    now = timezone.now()
    reset: datetime = getattr(resets(now), period)
    return max(1, math.ceil((reset - now).total_seconds()))
