"""The audit trail: staff or support read a conversation of another user, or ask in their name."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from waldur_chat.models import Reading, Thread


def record(reader: Any, thread: Thread, place: Literal["api", "admin"]) -> None:
    """Record that this user reads this conversation, unless they own it."""
    owner = thread.session.user_id
    if owner != reader.pk:
        Reading.objects.create(reader_id=reader.pk, owner_id=owner, thread=thread.uuid, place=place)


def record_turn(reader: Any, owner: Any, thread: str) -> None:
    """Record that the reader follows an answer in the owner's conversation (32 digits, empty without one)."""
    if thread and owner.pk != reader.pk:
        Reading.objects.create(reader_id=reader.pk, owner_id=owner.pk, thread=UUID(thread), place="api")


def record_question(reader: Any, owner: Any, thread: str) -> None:
    """Record that the reader asks as the owner, in this conversation (32 digits, empty for one that is not stored)."""
    if thread and owner.pk != reader.pk:
        asked = Reading.Act.ASKED
        Reading.objects.create(reader_id=reader.pk, owner_id=owner.pk, thread=UUID(thread), act=asked, place="api")


def record_export(reader: Any, owner: Any) -> None:
    """Record that the reader exports all conversations of the owner."""
    if owner.pk == reader.pk:
        return
    exported = Thread.objects.filter(session__user=owner.pk).values_list("uuid", flat=True)
    entries = [Reading(reader_id=reader.pk, owner_id=owner.pk, thread=uuid, place="api") for uuid in exported]
    Reading.objects.bulk_create(entries, batch_size=500)
