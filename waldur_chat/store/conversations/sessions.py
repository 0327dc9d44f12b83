"""Sessions: the container of all conversations of one user (contract section 2)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet

from waldur_chat import users
from waldur_chat.models import Session


def owned_by(user: Any) -> QuerySet[Session]:
    """The user's own session, if it exists."""
    sessions: QuerySet[Session] = _with_user().filter(user=user.pk)
    return sessions


def visible_to(user: Any) -> QuerySet[Session]:
    """The sessions that a user may see: all for staff and support, else the user's own."""
    return _with_user() if users.sees_all(user) else owned_by(user)


def get_or_create(user: Any) -> Session:
    """The user's session, which is created if it does not exist, also by concurrent requests."""
    with suppress(IntegrityError):  # Another request created it, and a third deleted it since.
        return owned_by(user).get_or_create(user_id=user.pk)[0]
    return owned_by(user).get_or_create(user_id=user.pk)[0]


def _with_user() -> QuerySet[Session]:
    sessions: QuerySet[Session] = Session.objects.select_related("user")
    return sessions
