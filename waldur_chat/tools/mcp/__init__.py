"""Tools of MCP servers that the operator has configured, by streamable HTTP (docs/mcp.md)."""
