"""Token accounts of users and of the site: their limits, and what ended turns are charged.

A charge locks the account's row until its transaction ends, so no update is lost. Users' accounts are locked in the
order of their keys, then the site's, which prevents deadlocks. What running turns hold is in `reservations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db.models import Q
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.events import Usage
from waldur_chat.models import Budget, DayOfUsage
from waldur_chat.models.budgets import UNLIMITED
from waldur_chat.store import sql
from waldur_chat.store.budgets.periods import Periods, first_days

PERIODS = {"daily": "day", "weekly": "week", "monthly": "month"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The row of a user or of the site as it was read, and its limits by period; unlimited periods are left out."""

    row: Budget
    scope: str
    limits: Mapping[str, int]


def limits_of(budget: Budget | None, settings: Settings, scope: str) -> dict[str, int]:
    """The limits by period: those of the account, or else those of the settings."""
    limits = {}
    for period in PERIODS:
        account_limit = getattr(budget, f"{period}_limit", None)
        limits[period] = getattr(settings, f"{scope}_tokens_{period}") if account_limit is None else account_limit
    return {period: limit for period, limit in limits.items() if limit != UNLIMITED}


def has_default_limits(settings: Settings) -> bool:
    """Whether the settings limit the site, or users without limits of their own."""
    return any(limits_of(None, settings, scope) for scope in ("user", "site"))


def limited_accounts(user: Any, settings: Settings) -> list[Account]:
    """The accounts that limit turns of a user: the user's, then the site's. One query if their rows exist.

    An anonymous user has no primary key and therefore no account; the site's limits apply.
    """
    rows = {"site" if row.is_site else "user": row for row in Budget.objects.filter(Q(user=user.pk) | Q(is_site=True))}
    limited = []
    owners: dict[str, dict[str, Any]] = {"user": {"user_id": user.pk}, "site": {"is_site": True}}
    if user.pk is None:
        del owners["user"]
    for scope, owner in owners.items():
        if limits := limits_of(rows.get(scope), settings, scope):
            row = rows.get(scope) or Budget.objects.get_or_create(**owner)[0]
            limited.append(Account(row=row, scope=scope, limits=limits))
    return limited


def used_in(budget: Budget, moment: datetime) -> dict[str, int]:
    """Tokens used in each current period. If the row is of a newer period, as with a slow clock, that one counts."""
    first_day = first_days(moment).by_name()
    return {
        period: getattr(budget, f"{period}_tokens") if (getattr(budget, name) or date.min) >= first_day[name] else 0
        for period, name in PERIODS.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What an ended turn has used, and its reservation, which is released."""

    user_id: Any
    """None for an anonymous user, and if the user was deleted while the turn ran."""
    model: str
    usage: Usage
    turns: int
    reserved: int

    @property
    def tokens(self) -> int:
        """Input and output tokens."""
        return self.usage.input_tokens + self.usage.output_tokens


def charge_statements(charges: Sequence[Charge]) -> list[sql.Statement]:
    """Statements that add charges to the ledger and the accounts; to be executed in one transaction.

    All transactions lock rows in this order, which prevents deadlocks: ledger rows without a user; by user key, each
    user's ledger rows and account; last the site's account, which every turn needs and which so is locked shortest.
    """
    today = first_days(timezone.now())
    effective = [charge for charge in charges if charge.tokens or charge.reserved]
    of_users = sorted((one for one in effective if one.user_id is not None), key=attrgetter("user_id", "model"))
    anonymous = sorted((one for one in effective if one.user_id is None and one.tokens), key=attrgetter("model"))
    statements = [
        statement
        for _, of_model in groupby(anonymous, attrgetter("model"))
        for statement in _anonymous_ledger_statements(today, list(of_model))
    ]
    for user_id, group in groupby(of_users, attrgetter("user_id")):
        of_user = list(group)
        used = [charge for charge in of_user if charge.tokens]
        statements += [_ledger_statement(today, list(of_model)) for _, of_model in groupby(used, attrgetter("model"))]
        statements.append(_account_statement(today, of_user, "user_id", user_id))
    return [*statements, _account_statement(today, effective, "is_site", True)] if effective else []


def _ledger_statement(today: Periods, charges: Sequence[Charge]) -> sql.Statement:
    """Add charges of one user and one model to the ledger."""
    values = {"day": today.day, "user_id": charges[0].user_id, "model": charges[0].model[:200], **_totals(charges)}
    return _upsert_ledger_sql(tuple(values)), sql.db_values(DayOfUsage, values)


def _anonymous_ledger_statements(today: Periods, charges: Sequence[Charge]) -> list[sql.Statement]:
    """Add charges of one model without a user to one ledger row of the day.

    Two statements, since ON CONFLICT needs a unique constraint, and NULL is never equal to NULL in one. Concurrent
    transactions can therefore insert the row twice; all of them then add to the first.
    """
    row = {"day": today.day, "model": charges[0].model[:200]}
    where, sums = sql.db_values(DayOfUsage, row), list(_totals(charges).values())
    return [(_insert_anonymous_sql(), [*where, *where]), (_add_anonymous_sql(), [*sums, *where])]


def _totals(charges: Sequence[Charge]) -> dict[str, int]:
    return {
        "turns": sum(one.turns for one in charges),
        "input_tokens": sum(one.usage.input_tokens for one in charges),
        "output_tokens": sum(one.usage.output_tokens for one in charges),
    }


@sql.cached_statement
def _insert_anonymous_sql() -> str:
    ledger = sql.table(DayOfUsage)
    return (
        f"INSERT INTO {ledger} (day, model, turns, input_tokens, output_tokens) SELECT %s, %s, 0, 0, 0 "  # noqa: S608  # No values in it.
        f"WHERE NOT EXISTS (SELECT 1 FROM {ledger} WHERE day = %s AND model = %s AND user_id IS NULL)"
    )


@sql.cached_statement
def _add_anonymous_sql() -> str:
    ledger = sql.table(DayOfUsage)
    changes = ", ".join(f"{name} = {name} + %s" for name in ("turns", "input_tokens", "output_tokens"))
    first = f"SELECT MIN(id) FROM {ledger} WHERE day = %s AND model = %s AND user_id IS NULL"  # noqa: S608  # No values.
    return f"UPDATE {ledger} SET {changes} WHERE id = ({first})"  # noqa: S608  # No values in it.


@sql.cached_statement
def _upsert_ledger_sql(names: Sequence[str]) -> str:
    """Insert the day's ledger row or add to it, in one statement: no concurrent first turn fails or is lost.

    The ORM cannot express it: `bulk_create(update_conflicts=True)` replaces values of a row, but cannot add to them.
    """
    ledger = sql.table(DayOfUsage)
    sums = ", ".join(
        f"{name} = {ledger}.{name} + EXCLUDED.{name}" for name in ("turns", "input_tokens", "output_tokens")
    )
    return (
        f"INSERT INTO {ledger} ({', '.join(names)}) VALUES ({sql.placeholders(len(names))}) "  # noqa: S608  # No values in it.
        f"ON CONFLICT (day, user_id, model) DO UPDATE SET {sums}"
    )


def _account_statement(today: Periods, charges: Sequence[Charge], owner: str, key: object) -> sql.Statement:
    """Charge an account, and release what these turns have reserved."""
    tokens, reserved = (sum(getattr(one, name) for one in charges) for name in ("tokens", "reserved"))
    periods = today.by_name()
    values = {owner: key, "reserved": 0, **periods, **{f"{name}_tokens": tokens for name in PERIODS}}
    return _upsert_account_sql(owner, tuple(values)), [*sql.db_values(Budget, values), reserved, reserved]


@sql.cached_statement
def _upsert_account_sql(owner: str, names: Sequence[str]) -> str:
    """Insert the account or add to its locked row, so that concurrent charges are not lost.

    The first charge of a period resets its tokens; a process whose clock is slow charges the newer period. If more is
    released than is reserved, for example after a manual edit of the row, the reservation becomes 0.
    """
    account = sql.table(Budget)
    changes = [f"reserved = CASE WHEN {account}.reserved > %s THEN {account}.reserved - %s ELSE 0 END"]
    for period, begin in PERIODS.items():
        # Tokens add up within a period; a row of an older period starts again.
        is_newer, tokens = f"CASE WHEN {account}.{begin} >= EXCLUDED.{begin}", f"{period}_tokens"
        changes.append(f"{tokens} = EXCLUDED.{tokens} + {is_newer} THEN {account}.{tokens} ELSE 0 END")
        changes.append(f"{begin} = {is_newer} THEN {account}.{begin} ELSE EXCLUDED.{begin} END")
    return (
        f"INSERT INTO {account} ({', '.join(names)}) VALUES ({sql.placeholders(len(names))}) "  # noqa: S608  # No values in it.
        f"ON CONFLICT ({owner}) DO UPDATE SET {', '.join(changes)}"
    )
