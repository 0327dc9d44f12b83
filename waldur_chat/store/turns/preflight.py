"""One query for everything that a new turn may depend on. On most sites it finds nothing; no other query follows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from waldur_chat.models import Budget, Session, SystemPrompt
from waldur_chat.store import sql, support
from waldur_chat.store.budgets.accounts import PERIODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether a system prompt of staff is active, and whether the account of this user or of the site has limits.

    `session` is the primary key of the user's session; None if it does not exist. `schema` is PostgreSQL's current one.
    """

    has_prompt: bool = False
    has_limits: bool = False
    session: int | None = None
    schema: str = ""


EMPTY = Preflight()


def load(user: Any) -> Preflight:
    """Query what a turn of this user may depend on.

    Plain SQL, since these are three scalar subqueries on different tables, and the ORM needs a row to select from. In
    databases that can store no turns, the ORM is used: a chat that stores nothing works there.
    """
    if not support.is_supported():
        return _load_by_orm(user)
    (key,) = sql.db_values(Session, {"user": user.pk})
    ((has_prompt, has_limits, session, schema),) = sql.fetch(_preflight_sql(), [key, key])
    return Preflight(has_prompt=bool(has_prompt), has_limits=bool(has_limits), session=session, schema=schema or "")


def _load_by_orm(user: Any) -> Preflight:
    limits = reduce(or_, (Q(**{f"{period}_limit__isnull": False}) for period in PERIODS))
    budgets = Budget.objects.filter(Q(user=user.pk) | Q(is_site=True), limits)
    has_prompt = SystemPrompt.objects.filter(is_active=True).exists()
    return Preflight(has_prompt=has_prompt, has_limits=budgets.exists())


@sql.cached_statement
def _preflight_sql() -> str:
    limits = " OR ".join(f"{period}_limit IS NOT NULL" for period in PERIODS)
    prompt = f"SELECT 1 FROM {sql.table(SystemPrompt)} WHERE is_active = TRUE"  # noqa: S608  # No values in it.
    budget = f"SELECT 1 FROM {sql.table(Budget)} WHERE (user_id = %s OR is_site = TRUE) AND ({limits})"  # noqa: S608
    session = f"SELECT id FROM {sql.table(Session)} WHERE user_id = %s"  # noqa: S608
    schema = "current_schema()" if sql.database().vendor == "postgresql" else "''"
    return f"SELECT EXISTS ({prompt}), EXISTS ({budget}), ({session}), {schema}"
