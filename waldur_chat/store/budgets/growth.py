"""Reservations of running turns, which grow with their answers and shrink to what was reported."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import F, Model, QuerySet

from waldur_chat.conf import Settings
from waldur_chat.models import Budget, Turn
from waldur_chat.store import sql
from waldur_chat.store.budgets.accounts import Account, limits_of
from waldur_chat.store.budgets.reservations import room

M = TypeVar("M", bound=Model)

BATCH = 200
"""Rows per statement: SQLite limits the depth of an expression to 1000 (https://www.sqlite.org/limits.html)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resize:
    """The tokens that a running turn, by its id, should have reserved in the accounts of these scopes."""

    turn: str
    tokens: int
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """The tokens that it has. `is_last`: it wanted more, nothing is left, and no other turn holds what it might get."""

    tokens: int
    is_last: bool


@dataclass(slots=True, kw_only=True)
class _Held:
    """A locked account, its limits, and the tokens that are reserved in it."""

    account: Account
    reserved: int

    @property
    def room(self) -> int:
        return room(self.account, self.reserved)[0]


def resize(wanted: Sequence[Resize], settings: Settings) -> dict[str, Resized]:
    """Change reservations of a process's turns in one short transaction, as far as the limits allow.

    Turns that no longer run are left out of the result. Rows are locked in the order in which the end of a turn locks
    them: turns by key, the accounts of users by key, the site's account.
    """
    by_turn = {UUID(one.turn): one for one in wanted}
    with transaction.atomic():
        turns = _locked(Turn.objects.filter(uuid__in=list(by_turn), status=Turn.Status.RUNNING), "pk")
        accounts = _lock_accounts(turns, by_turn, settings)
        resized = {}
        # Those that give something back come first.
        for turn in sorted(turns, key=lambda turn: by_turn[turn.uuid].tokens - turn.reserved):
            held = [
                accounts[key]
                for scope in by_turn[turn.uuid].scopes
                if (key := turn.user_id if scope == "user" else None) in accounts
            ]
            resized[turn.uuid.hex] = _resized(turn, by_turn[turn.uuid].tokens, held)
            turn.reserved = resized[turn.uuid.hex].tokens
        Turn.objects.bulk_update(turns, ["reserved"], batch_size=BATCH)
        for one in accounts.values():
            one.account.row.reserved = one.reserved
        Budget.objects.bulk_update([one.account.row for one in accounts.values()], ["reserved"], batch_size=BATCH)
    return resized


def _resized(turn: Turn, tokens: int, accounts: Iterable[_Held]) -> Resized:
    """Change what these accounts hold for a turn."""
    accounts = list(accounts)
    more = tokens - turn.reserved
    tightest = min(accounts, key=lambda one: one.room, default=None)
    if tightest is not None and more > 0:
        more = max(0, min(more, tightest.room))
    new = turn.reserved + more
    is_last = tightest is not None and new < tokens and tightest.reserved <= turn.reserved
    for one in accounts:
        one.reserved = max(0, one.reserved + more)
    return Resized(tokens=new, is_last=is_last)


def _lock_accounts(turns: Sequence[Turn], wanted: Mapping[UUID, Resize], settings: Settings) -> dict[Any, _Held]:
    """Lock the accounts that limit these turns, by user; that of the site by None."""
    scopes = [(turn.user_id, wanted[turn.uuid].scopes) for turn in turns]
    users = {user for user, limited in scopes if "user" in limited and user is not None}
    rows = _locked(Budget.objects.filter(user__in=users), "user_id") if users else []
    if any("site" in limited for _, limited in scopes):
        rows += _locked(Budget.objects.filter(is_site=True), "pk")
    found = {}
    for row in rows:
        scope = "site" if row.is_site else "user"
        # A limit that was removed meanwhile limits no more.
        if limits := limits_of(row, settings, scope):
            found[row.user_id] = _Held(account=Account(row=row, scope=scope, limits=limits), reserved=row.reserved)
    return found


def _locked(rows: QuerySet[M], order: str) -> list[M]:
    """The rows, locked in this order. SQLite has no row locks; a write that changes nothing locks the database."""
    if sql.database().features.has_select_for_update:
        rows = rows.select_for_update(no_key=True)
    else:
        rows.update(reserved=F("reserved"))
    return list(rows.order_by(order))
