"""What the accounts of a host say of its turns; its database is open under the alias `databases.HOST`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db.models import F, Sum

from tests.acceptance.databases import HOST
from tests.acceptance.streams import eventually
from waldur_chat.models import Budget, DayOfUsage, Turn


def budget_of(user: Any) -> Budget:
    """The account of a user."""
    return Budget.objects.using(HOST).get(user=user)


def limit_site(tokens: int | None) -> Budget:
    """Let the site use so many tokens more today; None for no limit."""
    site, _ = Budget.objects.using(HOST).get_or_create(is_site=True)
    site.daily_limit = None if tokens is None else site.daily_tokens + tokens
    site.save(update_fields=["daily_limit"])
    return site


def ends(*users: Any, seconds: float = 10.0) -> Counter[str]:
    """How the turns of these users have ended, once none of them runs."""
    turns = Turn.objects.using(HOST).filter(user__in=users)
    assert eventually(lambda: not turns.filter(status="running").exists(), seconds)
    return Counter(turns.values_list("status", flat=True))


def check_books(users: Sequence[Any]) -> int:
    """Ledger, accounts and turns must agree, and nothing may be held; gives the tokens that were used."""
    used = 0
    for user in users:
        of_turns = _sum(Turn.objects.using(HOST).filter(user=user))
        assert of_turns == check_account(user)
        used += of_turns
    return used


def check_account(user: Any) -> int:
    """What a user's account says must be what the ledger says, and nothing may be held; gives the tokens used."""
    used = _sum(DayOfUsage.objects.using(HOST).filter(user=user))
    account = budget_of(user)
    assert (account.daily_tokens, account.reserved) == (used, 0)
    return used


def _sum(rows: Any) -> int:
    return int(rows.aggregate(sum=Sum(F("input_tokens") + F("output_tokens"), default=0))["sum"])
