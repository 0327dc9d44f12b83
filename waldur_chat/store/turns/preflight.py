"""One query for everything that a new turn may depend on. On most sites that is nothing, and no other follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from waldur_chat.models import Budget, Session, SystemPrompt
from waldur_chat.store import sql
from waldur_chat.store.budgets.accounts import PERIODS


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """Whether staff have made a system prompt active, and whether this user or the site has limits of its own.

    `session` is the row of the user's conversations; None where there is none yet.
    """

    has_prompt: bool = False
    has_limits: bool = False
    session: int | None = None


NOTHING = Preflight()


def load(user: Any) -> Preflight:
    """What there is for a question of this user.

    Plain SQL: the ORM selects from a table, and these are three answers about different ones, of which each may be no.
    """
    (key,) = sql.prepared(Session, {"user": user.pk})
    ((has_prompt, has_limits, session),) = sql.rows(_looking(), [key, key])
    return Preflight(has_prompt=bool(has_prompt), has_limits=bool(has_limits), session=session)


@sql.composed
def _looking() -> str:
    limits = " OR ".join(f"{period}_limit IS NOT NULL" for period in PERIODS)
    prompt = f"SELECT 1 FROM {sql.table(SystemPrompt)} WHERE is_active = TRUE"  # noqa: S608  # No values in it.
    budget = f"SELECT 1 FROM {sql.table(Budget)} WHERE (user_id = %s OR is_site = TRUE) AND ({limits})"  # noqa: S608
    session = f"SELECT id FROM {sql.table(Session)} WHERE user_id = %s"  # noqa: S608
    return f"SELECT EXISTS ({prompt}), EXISTS ({budget}), ({session})"
