"""Asks each MCP server of the settings for its tools."""

from __future__ import annotations

from collections.abc import Sequence

from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.store import pinned_tools
from waldur_chat.tools import registry
from waldur_chat.tools.mcp import listing
from waldur_chat.tools.mcp.failures import McpFailure
from waldur_chat.tools.mcp.servers import McpServer


def servers_of_site() -> Sequence[McpServer]:
    """The servers that are configured without a mistake; `manage.py check` names the others."""
    return registry.examine().servers


def check_servers(servers: Sequence[McpServer]) -> list[Finding]:
    """Fetch the list of each server, and look for tools that wait for staff."""
    return [finding for server in servers for finding in _check(server)]


def _check(server: McpServer) -> list[Finding]:
    try:
        listing.fetch(server)
    except McpFailure as failure:
        return [make_finding("mcp_server_fails", f"{server.name}: {failure}", name=server.name)]
    waiting = [row.name for row in pinned_tools.waiting(server.name)]
    seen = f"{server.name}: {', '.join(waiting)}"
    return [make_finding("mcp_tools_wait", seen, name=server.name)] if waiting else []
