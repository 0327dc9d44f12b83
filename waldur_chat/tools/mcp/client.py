"""A client of one MCP server, for one user: negotiate the revision, list tools, call them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from waldur_chat.tools.mcp import jsonrpc
from waldur_chat.tools.mcp.failures import AnswerBroken, CallRefused, McpFailure, RevisionLost, ServerDown
from waldur_chat.tools.mcp.outages import outages_of_process
from waldur_chat.tools.mcp.posting import Deadline, post
from waldur_chat.tools.mcp.revisions import CLIENT, HANDSHAKES, MODERN, Negotiated, key_of, revisions_of_process

MOST_PAGES = 20
MOST_TOOLS = 500
DEFAULT_TTL = 300.0
LEAST_TTL, MOST_TTL = 60.0, 3600.0
"""Seconds for which a list of tools holds. The server says how many, within these limits."""

SESSION_LENGTH = 1000
JSON = {
    "Content-Type": "application/json",
    "Accept": "application/json, text/event-stream",
    "User-Agent": "waldur_chat",
}
REFUSED = {401: "It refuses the credentials.", 403: "It refuses access.", 429: "It has too many requests. Try later."}
REVISION_CODES = (-32022, -32020)
"""The revision is not supported; headers are missing, which only the stateless one has."""
OLDER_STATUS, OLDER_CODES = (400, 404, 405), (0, -32000, -32600)
"""How servers that know a handshake only refuse what has had none; without an error of JSON-RPC the code is 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The tools of a server as it describes them, and for how many seconds that holds."""

    tools: list[Any]
    ttl: float


@dataclass(frozen=True, slots=True, kw_only=True)
class McpClient:
    """Asks one server, with the headers of one user, until the deadline."""

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    deadline: Deadline

    def list_tools(self) -> Listing:
        """All tools, page by page. Raises `McpFailure`."""
        tools: list[Any] = []
        ttl = MOST_TTL
        for result in self._pages():
            page = result.get("tools")
            if not isinstance(page, list):
                raise AnswerBroken("Its list of tools cannot be read.")
            tools += page
            ttl = min(ttl, _seconds(result.get("ttlMs")))
            if len(tools) > MOST_TOOLS:
                raise AnswerBroken(f"It has more than {MOST_TOOLS} tools.")
        return Listing(tools=tools, ttl=max(LEAST_TTL, ttl))

    def call_tool(self, name: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
        """The result of a call, as the server gives it. Raises `McpFailure`.

        `headers` are those that the definition of the tool wants; only the stateless revision has them.
        """
        return self._ask("tools/call", {"name": name, **params}, headers)

    def _pages(self) -> Iterator[dict[str, Any]]:
        cursor: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            result = self._ask("tools/list", cursor)
            yield result
            following = result.get("nextCursor")
            if not isinstance(following, str) or not following:
                return
            cursor = {"cursor": following}
        raise AnswerBroken(f"Its list of tools has more than {MOST_PAGES} pages.")

    def _ask(self, method: str, params: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The result of a request.

        It is sent once more if the server has forgotten the session, or speaks another revision since: it has not
        carried the request out then.
        """
        outages = outages_of_process()
        outages.check(self.url)
        try:
            result = self._answered(method, params, headers or {})
        except ServerDown:
            outages.failed(self.url)
            raise
        except McpFailure:
            outages.answered(self.url)
            raise
        outages.answered(self.url)
        if not isinstance(result, dict):
            raise AnswerBroken("Its result cannot be read.")
        return result

    def _answered(self, method: str, params: Mapping[str, Any], headers: Mapping[str, str]) -> Any:
        key = key_of(self.url, self.headers)
        try:
            return self._sent(self._negotiated(key), key, method, params, headers)
        except RevisionLost:
            return self._sent(self._negotiated(key), key, method, params, headers)

    def _sent(
        self, spoken: Negotiated, key: str, method: str, params: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Any:
        extra = headers if spoken.is_stateless else {}
        try:
            return self._exchange(spoken, method, params, extra)[0]
        except CallRefused as refusal:
            if not _is_lost(spoken, refusal):
                raise
            revisions_of_process().forget(key, spoken)
            raise RevisionLost(str(refusal), status=refusal.status, code=refusal.code) from refusal

    def _negotiated(self, key: str) -> Negotiated:
        """What the server speaks. That is asked once: its list and its calls may have effects, this has none."""
        kept = revisions_of_process()
        if known := kept.get(key):
            return known
        spoken = MODERN if self._is_stateless() else self._shake_hands()
        kept.put(key, spoken)
        return spoken

    def _is_stateless(self) -> bool:
        """Whether the server knows the stateless revision. Older ones refuse the question in many ways."""
        try:
            result, _ = self._exchange(MODERN, "server/discover", {})
        except CallRefused as refusal:
            if refusal.status in REFUSED:
                raise
            return False
        except AnswerBroken:
            return False
        supported = result.get("supportedVersions") if isinstance(result, dict) else None
        return isinstance(supported, list) and MODERN.revision in supported

    def _shake_hands(self) -> Negotiated:
        hello = {"protocolVersion": HANDSHAKES[0], "capabilities": {}, "clientInfo": CLIENT}
        result, headers = self._exchange(None, "initialize", hello)
        revision = result.get("protocolVersion") if isinstance(result, dict) else None
        if revision not in HANDSHAKES:
            raise CallRefused("It speaks no revision of MCP that is known here.")
        session = str(headers.get("Mcp-Session-Id", ""))
        if len(session) > SESSION_LENGTH or not (session.isascii() and (session.isprintable() or not session)):
            raise AnswerBroken("Its session id cannot be sent back.")
        spoken = Negotiated(revision=revision, session=session)
        self._notify(spoken, "notifications/initialized")
        return spoken

    def _notify(self, spoken: Negotiated, method: str) -> None:
        headers = {**self.headers, **JSON, **spoken.headers(method)}
        with post(self.url, headers, jsonrpc.encode(method, {}), self.deadline) as reply:
            if reply.status >= 400:
                raise _refusal(reply.status)

    def _exchange(
        self, spoken: Negotiated | None, method: str, params: Mapping[str, Any], extra: Mapping[str, str] | None = None
    ) -> tuple[Any, Message]:
        """Send a request, and return its result with the headers. Raises `McpFailure`."""
        number = jsonrpc.new_id()
        name = str(params.get("name", "")) if method == "tools/call" else ""
        body = jsonrpc.encode(method, spoken.params(params) if spoken else params, number)
        headers = {**self.headers, **(extra or {}), **JSON, **(spoken.headers(method, name) if spoken else {})}
        with post(self.url, headers, body, self.deadline) as reply:
            response = None if reply.status in REFUSED else jsonrpc.read(reply, number)
            if response is None or (response.code == 0 and reply.status >= 400):
                raise _refusal(reply.status) if reply.status >= 400 else AnswerBroken("Its answer is no JSON-RPC.")
            if response.code:
                words = response.message or f"error {response.code}"
                raise CallRefused(f"It refuses the request: {words}", status=reply.status, code=response.code)
            return response.result, reply.headers


def _seconds(milliseconds: Any) -> float:
    return min(milliseconds, 1e9) / 1000 if type(milliseconds) in (int, float) else DEFAULT_TTL


def _refusal(status: int) -> CallRefused:
    return CallRefused(REFUSED.get(status, f"It answers with status {status}."), status=status)


def _is_lost(spoken: Negotiated, refusal: CallRefused) -> bool:
    """Whether what was negotiated holds no longer."""
    if refusal.code in REVISION_CODES:
        return True
    if spoken.is_stateless:
        return refusal.status in OLDER_STATUS and refusal.code in OLDER_CODES
    return refusal.status == 404 and bool(spoken.session)
