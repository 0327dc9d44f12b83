"""The traces that a running call leaves: that it has written something, and that it has ended."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from waldur_chat.models import Thread, ToolCall, ToolTrace
from waldur_chat.store import locks, rows
from waldur_chat.store.turns import tool_calls
from waldur_chat.store.turns.tool_calls import WRITTEN

Status = ToolCall.Status
TABLES = (ToolCall._meta.db_table, ToolTrace._meta.db_table)


def mark(call: UUID) -> None:
    """Note that the call writes something. It may do so after it was given up, too."""
    rows.insert(ToolTrace(call=call))
    tool_calls.change(call, Status.UNKNOWN, is_touched=True, summary=WRITTEN, result=WRITTEN)


def is_mark(statement: str) -> bool:
    """Whether the statement is one of `mark()`, or another one on its tables."""
    return any(table in statement for table in TABLES)


def done(call: UUID) -> bool:
    """End a running call, in the transaction of what it has done. False if it does not run any more."""
    ToolTrace.objects.filter(call=call).delete()
    return tool_calls.change(call, Status.RUNNING, status=Status.DONE, is_touched=True, ended=timezone.now())


@transaction.atomic
def ended_late(call: UUID) -> None:
    """A call that was given up has ended after all: nobody knows what came of it. Its answer says so then, too."""
    row = ToolCall.objects.filter(uuid=call, status=Status.FAILED).first()
    if row is None:
        return
    locks.lock(Thread.objects.filter(pk=row.thread_id))
    tool_calls.change(call, Status.FAILED, status=Status.UNKNOWN)
    if ToolTrace.objects.filter(call=call).delete()[0]:
        tool_calls.change(call, Status.UNKNOWN, is_touched=True)
    tool_calls.refresh_answer(row.turn_id)
