"""The audit trail: that staff or support read a conversation which is not theirs."""

from __future__ import annotations

from typing import Any, Literal

from waldur_chat.models import Reading, Thread


def record(reader: Any, thread: Thread, place: Literal["api", "admin"]) -> None:
    """Write down that this user reads this conversation, unless it is the user's own."""
    owner = thread.session.user_id
    if owner != reader.pk:
        Reading.objects.create(reader_id=reader.pk, owner_id=owner, thread=thread.uuid, place=place)
