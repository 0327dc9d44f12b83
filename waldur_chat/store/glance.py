"""A glance at what a turn may need of the store: on most sites nothing, which one statement tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from waldur_chat.models import Budget, SystemPrompt
from waldur_chat.store import sql
from waldur_chat.store.budgets import PERIODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Whether staff have made a system prompt active, and whether this user or the site has limits of its own."""

    has_prompt: bool
    has_limits: bool


NOTHING = Seen(has_prompt=False, has_limits=False)


def at(user: Any) -> Seen:
    """What there is for a question of this user. One query."""
    limits = " OR ".join(f"{period}_limit IS NOT NULL" for period in PERIODS)
    prompt = f"SELECT 1 FROM {sql.table(SystemPrompt)} WHERE is_active = %s"  # noqa: S608  # No values in it.
    budget = f"SELECT 1 FROM {sql.table(Budget)} WHERE (user_id = %s OR is_site = %s) AND ({limits})"  # noqa: S608
    values = [True, sql.stored(Budget, "user_id", user.pk), True]
    has_prompt, has_limits = sql.row(f"SELECT EXISTS ({prompt}), EXISTS ({budget})", values)
    return Seen(has_prompt=bool(has_prompt), has_limits=bool(has_limits))
