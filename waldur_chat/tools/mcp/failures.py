"""What goes wrong between here and an MCP server.

The messages are for the model, the log and staff, so they hold no address, no header and nothing that a server said
where it was not asked. `McpFailure` is the root:

    McpFailure
    ├── ServerDown        nothing came back in time: it counts against the server
    │   └── NotReached    nothing was sent
    ├── AnswerBroken      an answer that cannot be read
    ├── CallRefused       the server said no; `code` is that of JSON-RPC, `status` that of HTTP
    │   └── RevisionLost  the server no longer knows the session, or the revision: negotiate again
    └── NotConnected      the user has no credentials for the server
"""

from __future__ import annotations


class McpFailure(Exception):
    """A call of an MCP server failed."""


class ServerDown(McpFailure):
    """The server cannot be reached, or does not answer in time."""


class NotReached(ServerDown):
    """Nothing was sent, so that the call has had no effect."""


class AnswerBroken(McpFailure):
    """The answer is no JSON-RPC, too long, or cut."""


class CallRefused(McpFailure):
    """The server refuses the request, and has not carried it out."""

    def __init__(self, message: str, *, status: int = 200, code: int = 0) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class RevisionLost(CallRefused):
    """What was negotiated with the server holds no longer."""


class NotConnected(McpFailure):
    """There are no credentials for this user."""
