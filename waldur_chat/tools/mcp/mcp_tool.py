"""A tool of an MCP server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waldur_chat import conf
from waldur_chat.runtime.connections import release_connections
from waldur_chat.tools.base import Tool
from waldur_chat.tools.context import ToolContext
from waldur_chat.tools.mcp.client import McpClient
from waldur_chat.tools.mcp.content import result_of
from waldur_chat.tools.mcp.definitions import OfferedDefinition
from waldur_chat.tools.mcp.failures import AnswerBroken, CallRefused, McpFailure, NotReached, ServerDown
from waldur_chat.tools.mcp.posting import Deadline
from waldur_chat.tools.mcp.revisions import header_value
from waldur_chat.tools.mcp.servers import McpServer
from waldur_chat.tools.results import ToolResult

FAILED = "The server {name!r} failed. {words}"
MAYBE = " The call may have had its effect."
CALL_KEY = "waldur_chat/call"
"""In `_meta`: unique to the call, for servers that want to carry it out once."""


class McpTool(Tool):
    """Calls a tool of a server, as its accepted definition describes it.

    What a server says of itself is a claim: a call needs approval, speaks outward, and its result taints, unless the
    operator says otherwise.
    """

    outward = True

    def __init__(self, server: McpServer, name: str, definition: OfferedDefinition) -> None:
        self.server, self.name, self.definition = server, name, definition
        self.description, self.schema = definition.description, definition.schema
        for attribute, value in {**server.attributes, **server.overrides.get(definition.tool, {})}.items():
            setattr(self, attribute, value)

    def execute(self, context: ToolContext, arguments: dict[str, Any]) -> ToolResult:
        """Send the call, in this thread, which has no connection to the database meanwhile."""
        try:
            headers = self.server.headers_for(context.user)
            if context.effects:
                context.effects.may_write()
            release_connections()
            client = McpClient(url=self.server.url, headers=headers, deadline=Deadline(self._seconds()))
            params = {"arguments": arguments, "_meta": {CALL_KEY: context.call}}
            return result_of(client.call_tool(self.definition.tool, params, self._parameter_headers(arguments)))
        except McpFailure as failure:
            words = f"{failure}{MAYBE if _may_have_run(failure) else ''}"
            return ToolResult.failed(FAILED.format(name=self.server.name, words=words))

    def _seconds(self) -> float:
        return self.timeout_seconds or float(conf.site_value("TOOL_SECONDS"))

    def _parameter_headers(self, arguments: Mapping[str, Any]) -> dict[str, str]:
        """The headers that repeat arguments, as the definition wants them."""
        found = {name: _at(arguments, path) for name, path in self.definition.headers.items()}
        return {f"Mcp-Param-{name}": header_value(_words(one)) for name, one in found.items() if one is not None}


def _may_have_run(failure: McpFailure) -> bool:
    """Whether the server may have carried out the call."""
    if isinstance(failure, CallRefused):
        return failure.status >= 500
    return isinstance(failure, (AnswerBroken, ServerDown)) and not isinstance(failure, NotReached)


def _at(arguments: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        arguments = arguments.get(step) if isinstance(arguments, Mapping) else None
    return arguments


def _words(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
