"""The audit trail: staff or support read a conversation of another user."""

from __future__ import annotations

from typing import Any, Literal

from waldur_chat.models import Reading, Thread


def record(reader: Any, thread: Thread, place: Literal["api", "admin"]) -> None:
    """Record that this user reads this conversation, unless they own it."""
    owner = thread.session.user_id
    if owner != reader.pk:
        Reading.objects.create(reader_id=reader.pk, owner_id=owner, thread=thread.uuid, place=place)
