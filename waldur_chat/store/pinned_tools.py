"""Definitions of tools of MCP servers: record what a server lists, and what staff say of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from waldur_chat.models import PinnedTool
from waldur_chat.store import rows

Status = PinnedTool.Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool:
    """A tool as a server lists it now: its name there, its definition with the hash, names that it may have here."""

    tool: str
    definition: str
    hash: str
    names: Sequence[str]


def accepted(servers: Collection[str]) -> QuerySet[PinnedTool]:
    """The tools of these servers that may be offered: accepted as they are, and still listed."""
    found: QuerySet[PinnedTool] = of_servers(servers).filter(
        status=Status.ACCEPTED, is_listed=True, hash=F("accepted_hash")
    )
    return found


def of_servers(servers: Collection[str], name: str = "") -> QuerySet[PinnedTool]:
    """The tools of these servers; with a name, those of the server or the one tool of this name."""
    found: QuerySet[PinnedTool] = PinnedTool.objects.filter(server__in=servers).order_by("server", "name")
    if name:
        found = found.filter(Q(server=name) | Q(name=name))
    return found


def waiting(server: str) -> QuerySet[PinnedTool]:
    """The tools of a server that wait for staff."""
    found: QuerySet[PinnedTool] = of_servers([server]).filter(status__in=(Status.NEW, Status.CHANGED), is_listed=True)
    return found


def record(server: str, listed: Sequence[ListedTool]) -> list[str]:
    """Record a list, and return the names of the tools that wait for staff since it.

    A tool with another name is another tool, whatever its definition says.
    """
    known = {row.tool: row for row in PinnedTool.objects.filter(server=server)}
    names = []
    for one in listed:
        row = known.pop(one.tool, None)
        name = _insert(server, one) if row is None else _update(row, one)
        names += [name] if name else []
    gone = [row.pk for row in known.values() if row.is_listed]
    if gone:
        PinnedTool.objects.filter(pk__in=gone).update(is_listed=False)
    return names


def decide(row: PinnedTool, shown_hash: str, user: Any, *, accept: bool) -> bool:
    """Accept or refuse the definition with this hash, which was shown. False if it has changed meanwhile."""
    values: dict[str, Any] = {"status": Status.REFUSED}
    if accept:
        values = {"status": Status.ACCEPTED, "accepted_hash": shown_hash, "accepted_definition": F("definition")}
    current = PinnedTool.objects.filter(pk=row.pk, hash=shown_hash)
    return bool(current.update(**values, decided_by=user, decided_at=timezone.now()))


def _insert(server: str, one: ListedTool) -> str:
    """Insert a new tool, and return its name; empty if another process has done so, or all its names are taken."""
    for name in one.names:
        try:
            with transaction.atomic():
                rows.insert(
                    PinnedTool(server=server, tool=one.tool, name=name, definition=one.definition, hash=one.hash)
                )
            return name
        except IntegrityError:
            if PinnedTool.objects.filter(server=server, tool=one.tool).exists():
                return ""
    return ""


def _update(row: PinnedTool, one: ListedTool) -> str:
    """Write what is different, and return the name if the tool waits for staff since. What was refused stays so."""
    if row.hash == one.hash:
        if not row.is_listed:
            PinnedTool.objects.filter(pk=row.pk, hash=row.hash).update(is_listed=True)
        return ""
    status = row.status
    if status != Status.REFUSED and row.accepted_hash:
        status = Status.ACCEPTED if one.hash == row.accepted_hash else Status.CHANGED
    changed = PinnedTool.objects.filter(pk=row.pk, hash=row.hash).update(
        definition=one.definition, hash=one.hash, status=status, is_listed=True, changed=timezone.now()
    )
    return row.name if changed and status in (Status.NEW, Status.CHANGED) else ""
