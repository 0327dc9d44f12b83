"""Tools that write two rows, each of which commits by itself or both together, and how many there are."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.acceptance.databases import HOST
from tests.projects.models import AuditEntry
from waldur_chat.models import ToolCall
from waldur_chat.tools import tool


def twice(name: str, pause: float = 0.0) -> str:
    """Writes, waits, and writes again."""
    AuditEntry.objects.create(what=f"{name} 1")
    time.sleep(pause)
    AuditEntry.objects.create(what=f"{name} 2")
    return "Written."


def held(name: str, file: str) -> str:
    """Writes, waits until the file exists, writes again, and tells by another file that it has ended."""
    AuditEntry.objects.create(what=f"{name} 1")
    while not Path(file).exists():
        time.sleep(0.02)
    AuditEntry.objects.create(what=f"{name} 2")
    Path(f"{file}.ended").touch()
    return "Written."


function = tool(name="function")(twice)
atomic_function = tool(name="atomic_function", atomic=True)(twice)


@tool(safe=True, trusted=True)
def quick() -> list[str]:
    """Takes a moment."""
    time.sleep(0.15)
    return ["seen"]


slow = tool(name="slow", approval="never")(held)
atomic_slow = tool(name="atomic_slow", approval="never", atomic=True)(held)
limited = tool(name="limited", approval="never", seconds=0.5)(held)
atomic_limited = tool(name="atomic_limited", approval="never", seconds=0.5, atomic=True)(held)
HELD = {one.name: {"BACKEND": f"{__name__}.{one.name}"} for one in (quick, slow, atomic_slow, limited, atomic_limited)}

VIEW = {"VIEW": "project-twice", "METHOD": "POST"}
TOOLS: dict[str, Any] = {
    "function": {"BACKEND": f"{__name__}.function"},
    "atomic_function": {"BACKEND": f"{__name__}.atomic_function"},
    "view": VIEW,
    "atomic_view": {**VIEW, "ATOMIC": True},
}


def written(name: str) -> list[str]:
    """The rows that a call has written."""
    rows = AuditEntry.objects.using(HOST).filter(what__startswith=f"{name} ")
    return [what.rpartition(" ")[2] for what in rows.order_by("what").values_list("what", flat=True)]


def row_of(call: ToolCall) -> ToolCall:
    """The call as it is now."""
    return ToolCall.objects.using(HOST).get(pk=call.pk)
