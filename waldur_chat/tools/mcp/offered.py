"""The tools of the servers that a model gets: those whose definition staff have accepted, as they accepted it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from waldur_chat.store import pinned_tools
from waldur_chat.tools.mcp.definitions import offered
from waldur_chat.tools.mcp.mcp_tool import McpTool
from waldur_chat.tools.mcp.servers import McpServer


def tools_of(servers: Sequence[McpServer]) -> Iterator[McpTool]:
    """The accepted tools, by one query. No server is asked: one that is down keeps its tools, and their calls fail."""
    by_name = {server.name: server for server in servers}
    for row in pinned_tools.accepted(by_name) if by_name else ():
        server = by_name[row.server]
        if server.takes(row.tool):
            yield McpTool(server, row.name, offered(row.definition))
