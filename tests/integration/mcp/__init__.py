"""Tools of MCP servers on a site: pinned, offered, called, and shown to staff."""
