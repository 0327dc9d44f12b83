"""The client of MCP servers, against a server of the tests."""
