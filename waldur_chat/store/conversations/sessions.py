"""Sessions: all conversations of one user (contract section 2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet

from waldur_chat import users
from waldur_chat.models import Session


def own(user: Any) -> QuerySet[Session]:
    """The user's own session, where there is one."""
    mine: QuerySet[Session] = _all().filter(user=user.pk)
    return mine


def visible_to(user: Any) -> QuerySet[Session]:
    """The sessions that a user may see: all for staff and support, else the user's own."""
    return _all() if users.sees_all(user) else own(user)


def current(user: Any) -> Session:
    """The user's session, which is made where there is none; also when two requests ask for it at once."""
    with suppress(IntegrityError):  # Another request made it, and a third has erased it since.
        return own(user).get_or_create(user_id=user.pk)[0]
    return own(user).get_or_create(user_id=user.pk)[0]


def _all() -> QuerySet[Session]:
    sessions: QuerySet[Session] = Session.objects.select_related("user")
    return sessions
