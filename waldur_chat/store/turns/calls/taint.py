"""Words of strangers in a conversation: results of tools, and the site's context."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Exists, OuterRef

from waldur_chat.models import Thread, ToolCall, Turn
from waldur_chat.store.turns.calls.told_calls import RAN


def mark(turn: str) -> bool:
    """Note that the prompt of a running turn holds context of strangers. False if it does not run any more."""
    running = Turn.objects.filter(uuid=UUID(turn), status=Turn.Status.RUNNING)
    return bool(running.update(has_tainted_context=True))


def is_tainted(thread: str, trusted: Collection[str]) -> bool:
    """Whether a conversation has or had results of other than these tools, or context of strangers.

    Taint belongs to the conversation, not to the messages that still fit into the prompt: an answer may repeat what was
    said in a result that is left out by now.
    """
    calls = ToolCall.objects.filter(thread=OuterRef("pk"), status__in=RAN).exclude(tool__in=trusted)
    turns = Turn.objects.filter(thread=OuterRef("pk"), has_tainted_context=True)
    threads = Thread.objects.filter(uuid=UUID(thread))
    return bool(threads.filter(Exists(calls) | Exists(turns)).exists())
