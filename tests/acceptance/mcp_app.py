"""A server with the package `mcp`, as somebody would write it: release 1 knows the handshake only, release 2 both."""

from __future__ import annotations

import sys
from typing import Any

from pydantic import BaseModel

try:
    from mcp.server import MCPServer
    from mcp.server.mcpserver import Context
except ImportError:
    from mcp.server.fastmcp import Context
    from mcp.server.fastmcp import FastMCP as MCPServer


class Name(BaseModel):
    """What the server asks the user for."""

    name: str


def search(query: str, limit: int = 3) -> str:
    """Search the issues."""
    return f"{limit} issues with {query}"


def count(words: list[str]) -> dict[str, int]:
    """Count words."""
    return {word: words.count(word) for word in words}


def fail() -> str:
    """Break."""
    raise ValueError("no such issue")


async def greet(context: Context) -> str:
    """Greet the user by a name that they are asked for."""
    answer: Any = await context.elicit("What is your name?", Name)
    return f"Hello {answer}"


def main(port: int, *, is_stateless: bool, is_json: bool) -> None:
    """Serve until the process is ended."""
    options: dict[str, Any] = {"port": port, "stateless_http": is_stateless, "json_response": is_json}
    is_old = MCPServer.__name__ == "FastMCP"
    server = MCPServer("issues", **(options if is_old else {}))
    for function in (search, count, fail, greet):
        server.tool()(function)
    server.run("streamable-http", **({} if is_old else options))


if __name__ == "__main__":
    main(int(sys.argv[1]), is_stateless="stateless" in sys.argv, is_json="json" in sys.argv)
