"""All tools of the site, and those that a user's model gets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import conf
from waldur_chat.tools.arguments import schema_problem
from waldur_chat.tools.base import Tool
from waldur_chat.tools.caller import ToolCaller
from waldur_chat.tools.declarations import SETTING, declared_tools
from waldur_chat.tools.discovery import tools_of_apps
from waldur_chat.tools.functions.declared import UnusableFunction
from waldur_chat.tools.mcp.listing import listings_of_process
from waldur_chat.tools.mcp.offered import tools_of
from waldur_chat.tools.mcp.servers import McpServer
from waldur_chat.tools.problems import ToolProblem, report
from waldur_chat.tools.search import search_tools

_schema_problems: WeakKeyDictionary[Tool, str] = WeakKeyDictionary()

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The names that model services accept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTools:
    """The tools by name, what is wrong with others, and the MCP servers, whose tools may not be among them."""

    tools: Mapping[str, Tool]
    problems: tuple[ToolProblem, ...]
    servers: tuple[McpServer, ...] = ()


def offered(user: Any, caller: ToolCaller | None, settings: conf.Settings | None = None) -> list[Tool]:
    """The tools that the model of this user gets. Without a caller there is no request, and so no views."""
    tools = site_tools(None if settings is None else settings.tools).tools.values()
    return [tool for tool in tools if tool.is_for(user) and (caller is not None or not tool.needs_request)]


def find(name: str, settings: conf.Settings | None = None) -> Tool | None:
    """The tool of this name, whoever may use it."""
    return site_tools(None if settings is None else settings.tools).tools.get(name)


def site_tools(declared: Any = None) -> SiteTools:
    """The tools of the site, those of MCP servers too. What is wrong is logged once, and left out. See `examine`.

    Lists of servers that are due are fetched in the background: nobody waits for them.
    """
    found = with_servers(examine(declared))
    listings_of_process().fetch_due(found.servers)
    for problem in found.problems:
        report(problem)
    return found


def examine(declared: Any = None) -> SiteTools:
    """The tools of the settings (`declared`, by default the current ones), and those of the apps. Makes no query."""
    declared = list(declared_tools(_declared() if declared is None else declared))
    servers = tuple(one for one in declared if isinstance(one, McpServer))
    others = [one for one in declared if not isinstance(one, McpServer)]
    return _collected([*others, *tools_of_apps()], SiteTools(tools={}, problems=(), servers=servers))


def with_servers(found: SiteTools) -> SiteTools:
    """The same with the tools of MCP servers that staff have accepted. Queries the database if there are servers."""
    return _collected(tools_of(found.servers), found)


def _collected(more: Iterable[Tool | ToolProblem], found: SiteTools) -> SiteTools:
    tools, problems = dict(found.tools), list(found.problems)
    for one in more:
        checked = _checked(one, tools) if isinstance(one, Tool) else one
        if isinstance(checked, Tool):
            tools[checked.name] = checked
        else:
            problems.append(checked)
    return SiteTools(tools=tools, problems=tuple(dict.fromkeys(problems)), servers=found.servers)


def _declared() -> Any:
    try:
        return conf.site_settings().get("TOOLS", {})
    except ImproperlyConfigured:  # E001 reports it.
        return {}


def _checked(tool: Tool, others: Iterable[str]) -> Tool | ToolProblem:
    """The tool, or what is wrong with it, whichever way it was declared."""
    if isinstance(tool, UnusableFunction):
        return tool.problem
    place = f"{SETTING}[{tool.name!r}]" if tool.name else type(tool).__qualname__
    if not NAME.fullmatch(tool.name):
        return ToolProblem("E026", place, "the name must have 1 to 64 characters out of A-Z, a-z, 0-9, _ and -.")
    if tool.name == search_tools.NAME:
        return ToolProblem("E026", place, "the name belongs to the tool with which a model finds others.")
    if tool.name in others:
        return ToolProblem("E026", place, "another tool has this name; the setting comes before the apps.")
    if words := _schema_problem(tool):
        return ToolProblem("E025", place, words)
    return tool


def _schema_problem(tool: Tool) -> str:
    """Why the schema of a tool is none; empty if it is one. Looked at once: each turn asks for all tools."""
    if tool not in _schema_problems:
        _schema_problems[tool] = schema_problem(tool.schema)
    return _schema_problems[tool]
