"""An MCP server over HTTP, with the revisions of 2025 and 2026, and with faults. A real server, in threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODERN = "2026-07-28"
TEXT = {"content": [{"type": "text", "text": "Three issues."}], "isError": False}

SEARCH = {
    "name": "search",
    "title": "Search",
    "description": "Search the issues.",
    "inputSchema": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    "annotations": {"readOnlyHint": True},
}


@dataclass(kw_only=True)
class Asked:
    """A request that has arrived."""

    method: str
    headers: dict[str, str]
    params: dict[str, Any]
    is_notification: bool


@dataclass(kw_only=True)
class FakeMcpServer:
    """What the server does, and what it was asked. `faults` are by method; each is what is done instead of an answer.

    `speaks` is "2026", or a revision of 2025; `session` is the id that it gives then, empty for none.
    """

    speaks: str = "2026"
    session: str = ""
    sse: bool = False
    tools: list[Any] = field(default_factory=lambda: [SEARCH])
    page_size: int = 100
    ttl: Any = 120_000
    result: Any = field(default_factory=lambda: dict(TEXT))
    faults: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    known_sessions: set[str] = field(default_factory=set)
    supported: list[str] = field(default_factory=lambda: [MODERN])
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    @property
    def methods(self) -> list[str]:
        """The methods that were asked for, in order."""
        return [one.method for one in self.asked]

    def last(self, method: str) -> Asked:
        """The last request of a method."""
        return [one for one in self.asked if one.method == method][-1]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    fake: FakeMcpServer

    def log_message(self, *arguments: Any) -> None:
        """Print nothing."""

    def do_POST(self) -> None:
        """Answer, or do what the fault does."""
        self.message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        method = self.message["method"]
        self.fake.asked.append(
            Asked(
                method=method,
                headers={name.lower(): value for name, value in self.headers.items()},
                params=self.message.get("params", {}),
                is_notification="id" not in self.message,
            )
        )
        with suppress(BrokenPipeError, ConnectionResetError):
            if fault := self.fake.faults.get(method):
                fault(self)
            elif "id" not in self.message:
                self.send(202, b"")
            elif self.fake.speaks == "2026":
                self.modern(method)
            else:
                self.legacy(method)
        self.close_connection = True

    def modern(self, method: str) -> None:
        """Each request stands for itself, and its headers repeat it."""
        params = self.message["params"]
        meta = params.get("_meta", {})
        named = {"MCP-Protocol-Version": meta.get("io.modelcontextprotocol/protocolVersion"), "Mcp-Method": method}
        if any(self.headers.get(name) != value for name, value in named.items()):
            self.error(400, -32020, "Header mismatch")
        elif method == "server/discover":
            self.answer({"resultType": "complete", "supportedVersions": self.fake.supported, "capabilities": {}})
        else:
            self.common(method, params)

    def legacy(self, method: str) -> None:
        """A handshake before all else, and a session where the server has them."""
        if method == "initialize":
            headers = {}
            if self.fake.session:
                self.fake.known_sessions.add(self.fake.session)
                headers = {"Mcp-Session-Id": self.fake.session}
            self.answer({"protocolVersion": self.fake.speaks, "capabilities": {"tools": {}}}, headers)
        elif self.fake.session and self.headers.get("Mcp-Session-Id") not in self.fake.known_sessions:
            is_unknown = "Mcp-Session-Id" in self.headers
            self.error(404 if is_unknown else 400, -32000, "no valid session")
        elif method == "server/discover":
            self.error(200, -32601, "Method not found")
        else:
            self.common(method, self.message["params"])

    def common(self, method: str, params: dict[str, Any]) -> None:
        """What is the same in all revisions."""
        if method == "tools/list":
            self.list_tools(params)
        elif params["name"] not in [tool["name"] for tool in self.fake.tools]:
            self.error(400, -32602, f"Unknown tool: {params['name']}")
        else:
            self.answer(self.fake.result)

    def list_tools(self, params: dict[str, Any]) -> None:
        """One page."""
        start = int(params.get("cursor", 0))
        end = start + self.fake.page_size
        more = {"nextCursor": str(end)} if end < len(self.fake.tools) else {}
        self.answer({"tools": self.fake.tools[start:end], "ttlMs": self.fake.ttl, **more})

    def answer(self, result: Any, headers: dict[str, str] | None = None) -> None:
        """A result, as JSON or as a stream."""
        message = {"jsonrpc": "2.0", "id": self.message["id"], "result": result}
        if self.fake.sse:
            self.stream([{"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}, message], headers)
        else:
            self.send(200, json.dumps(message).encode(), headers=headers)

    def error(self, status: int, code: int, message: str) -> None:
        """An error of JSON-RPC."""
        body = {"jsonrpc": "2.0", "id": self.message["id"], "error": {"code": code, "message": message}}
        self.send(status, json.dumps(body).encode())

    def stream(self, messages: list[Any], headers: dict[str, str] | None = None) -> None:
        """Server-sent events."""
        body = b"".join(b"event: message\ndata: " + json.dumps(one).encode() + b"\n\n" for one in messages)
        self.send(200, body, "text/event-stream", headers)

    def send(
        self, status: int, body: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        """A whole answer."""
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def endless(self, kind: str, piece: bytes) -> None:
        """A body without end."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        while not self.fake.released.is_set():
            self.wfile.write(piece)


@contextmanager
def running(**values: Any) -> Iterator[FakeMcpServer]:
    """A server on a free port."""
    fake = FakeMcpServer(**values)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"fake": fake}))
    server.daemon_threads = True
    fake.url = f"http://127.0.0.1:{server.server_port}/mcp"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        fake.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
