"""`manage.py chat_tools`: what a user's model would be offered, and the tools of MCP servers that wait for staff."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.management import BaseCommand, CommandError

from waldur_chat import conf
from waldur_chat.models import PinnedTool
from waldur_chat.store import pinned_tools
from waldur_chat.tools import registry
from waldur_chat.tools.base import Tool
from waldur_chat.tools.mcp import listing
from waldur_chat.tools.mcp.definitions import pretty, shown
from waldur_chat.tools.mcp.failures import McpFailure
from waldur_chat.tools.mcp.servers import McpServer
from waldur_chat.tools.search.search_tools import SearchTools

Status = PinnedTool.Status

WIDTH = 60
STATES = {
    Status.NEW: "new: nobody has accepted it",
    Status.CHANGED: "it has changed since it was accepted",
    Status.REFUSED: "staff refuse it",
}


class Command(BaseCommand):
    """`manage.py chat_tools`. It calls no tool, and no server unless it is told to."""

    help = (
        "List the tools of the site, or those that the model of a user gets. Whether a call succeeds, the view decides."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="NAME", help="only tools for this user; 'anonymous' for nobody")
        parser.add_argument("--json", action="store_true", help="as JSON, with the schemas")
        parser.add_argument("--refresh", action="store_true", help="ask the MCP servers for their tools before")
        parser.add_argument(
            "--accept", metavar="NAME", help="show what waits of an MCP server, or one tool of it, and accept it"
        )
        parser.add_argument("--yes", action="store_true", help="accept without being asked")

    def handle(self, *args: Any, **options: Any) -> None:
        servers = registry.examine().servers
        user = None if options["user"] is None else _user(options["user"])
        if options["refresh"] or options["accept"]:
            self._refresh(servers, user)
        if options["accept"]:
            self._accept(servers, options["accept"], is_sure=options["yes"])
            return
        found = registry.with_servers(registry.examine())
        tools = [tool for tool in found.tools.values() if user is None or tool.is_for(user)]
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(tool) for tool in tools], indent=2, default=str))
            return
        self._list(tools)
        for problem in found.problems:
            self.stderr.write(f"left out: {problem}")
        self._list_pinned(servers)

    def _list(self, tools: Sequence[Tool]) -> None:
        for tool in tools:
            self.stdout.write(f"{tool.name}  {_words(tool)}")
        size = sum(_size(tool) for tool in tools)
        self.stdout.write(f"{len(tools)} tools, {size} characters of each prompt.")
        most = conf.load().tools_offered
        if len(tools) > most:
            first = _size(SearchTools(tools)) + sum(_size(tool) for tool in tools if tool.always_offered)
            self.stderr.write(
                f"More than {most} tools: a model is offered search_tools, and those that it has found with that; "
                f"{first} characters of each prompt at first."
            )

    def _list_pinned(self, servers: Sequence[McpServer]) -> None:
        """What is not offered of the tools of MCP servers, and why."""
        taken = {server.name: server for server in servers}
        for row in pinned_tools.of_servers(taken) if taken else ():
            if not taken[row.server].takes(row.tool):
                self.stderr.write(f"not offered: {row.name}, which ONLY does not name")
            elif not row.is_listed:
                self.stderr.write(f"not offered: {row.name}, which its server no longer has")
            elif row.status in STATES:
                self.stderr.write(f"not offered: {row.name}, {STATES[row.status]}")

    def _refresh(self, servers: Sequence[McpServer], user: Any) -> None:
        for server in servers:
            try:
                fetched = listing.fetch(server, None if user is None else server.headers_for(user))
            except McpFailure as failure:
                self.stderr.write(shown(f"{server.name}: {failure}"))
            else:
                for problem in fetched.problems:
                    self.stderr.write(shown(f"{server.name}: left out: {problem}"))

    def _accept(self, servers: Sequence[McpServer], name: str, *, is_sure: bool) -> None:
        """Show the definitions that are not accepted, and accept just these."""
        rows = list(pinned_tools.of_servers([server.name for server in servers], name))
        if not rows:
            raise CommandError(
                f"{name}: no MCP server of TOOLS has this name or such a tool, as far as it has listed any."
            )
        waiting = [row for row in rows if row.is_waiting or (row.name == name and row.status != Status.ACCEPTED)]
        for row in waiting:
            self.stdout.write(f"{row.name}, {row.status}:\n{pretty(row.definition)}")
        if waiting and not is_sure and not _is_confirmed():
            raise CommandError("Nothing was accepted.")
        for row in waiting:
            is_same = pinned_tools.decide(row, row.hash, None, accept=True)
            self.stdout.write(
                f"{row.name}: {'accepted' if is_same else 'it has changed meanwhile, and is not accepted'}"
            )
        self.stdout.write(f"{len(rows) - len(waiting)} others stay as they are.")


def _is_confirmed() -> bool:
    try:
        return input("Type 'yes' to accept: ") == "yes"
    except EOFError as error:
        raise CommandError("Nothing was accepted: nobody could be asked. Repeat it with --yes.") from error


def _user(name: str) -> Any:
    if name == "anonymous":
        return AnonymousUser()
    users: Any = get_user_model()
    try:
        return users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name!r}.") from error


def _words(tool: Tool) -> str:
    """Approval, size and the beginning of the description."""
    words = shown(" ".join(tool.description.split()))
    beginning = words if len(words) <= WIDTH else f"{words[: WIDTH - 1]}…"
    return f"[approval: {_approval(tool)}; for: {tool.roles}; {_size(tool)} characters] {beginning}"


def _approval(tool: Tool) -> str:
    return tool.approval or ("never" if tool.is_safe else "always")


def _size(tool: Tool) -> int:
    return len(json.dumps([tool.name, tool.description, tool.schema], default=dict))


def _as_json(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "schema": dict(tool.schema),
        "approval": _approval(tool),
        "roles": tool.roles,
        "size": _size(tool),
    }
