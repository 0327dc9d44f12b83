"""What is sent to servers of each revision, and what is understood of their answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fake import mcp_server
from tests.fake.mcp_server import SEARCH, TEXT, FakeMcpServer
from waldur_chat.tools.mcp.client import DEFAULT_TTL, LEAST_TTL, MOST_TTL, McpClient
from waldur_chat.tools.mcp.failures import AnswerBroken, CallRefused
from waldur_chat.tools.mcp.posting import Deadline

ARGUMENTS = {"arguments": {"query": "red"}, "_meta": {"waldur_chat/call": "c1"}}


def client(fake: FakeMcpServer, seconds: float = 10.0, **headers: str) -> McpClient:
    """A client of the server."""
    return McpClient(url=fake.url, headers=headers, deadline=Deadline(seconds))


def call(fake: FakeMcpServer, name: str = "search", **headers: str) -> dict[str, Any]:
    """The result of a call."""
    return client(fake, **headers).call_tool(name, ARGUMENTS, {"Mcp-Param-Query": "red"})


def test_tools_are_listed_in_every_revision(any_server: FakeMcpServer) -> None:
    assert client(any_server).list_tools().tools == [SEARCH]


def test_a_tool_is_called_in_every_revision(any_server: FakeMcpServer) -> None:
    assert call(any_server) == TEXT
    asked = any_server.last("tools/call").params
    assert (asked["name"], asked["arguments"], asked["_meta"]["waldur_chat/call"]) == ("search", {"query": "red"}, "c1")


def test_requests_without_sessions_say_all_in_headers_and_params(fake: FakeMcpServer) -> None:
    call(fake, Authorization="Bearer x")
    asked = fake.last("tools/call")
    assert fake.methods == ["server/discover", "tools/call"]
    assert asked.headers["mcp-protocol-version"] == asked.params["_meta"]["io.modelcontextprotocol/protocolVersion"]
    assert (asked.headers["mcp-method"], asked.headers["mcp-name"]) == ("tools/call", "search")
    assert asked.params["_meta"]["io.modelcontextprotocol/clientCapabilities"] == {}
    assert asked.params["_meta"]["io.modelcontextprotocol/clientInfo"]["name"] == "waldur_chat"
    assert (asked.headers["authorization"], asked.headers["mcp-param-query"]) == ("Bearer x", "red")
    assert asked.headers["accept"] == "application/json, text/event-stream"
    assert "cookie" not in asked.headers
    assert "mcp-session-id" not in asked.headers


def test_a_name_that_is_not_plain_is_sent_in_base64() -> None:
    with mcp_server.running(tools=[{**SEARCH, "name": "höhe"}]) as fake:
        assert call(fake, "höhe") == TEXT
        assert fake.last("tools/call").headers["mcp-name"] == "=?base64?aMO2aGU=?="


def test_a_session_begins_with_a_handshake() -> None:
    with mcp_server.running(speaks="2025-06-18", session="s-7") as fake:
        call(fake)
        assert fake.methods == ["server/discover", "initialize", "notifications/initialized", "tools/call"]
        assert fake.last("initialize").params["protocolVersion"] == "2025-11-25"
        assert "mcp-session-id" not in fake.last("initialize").headers
        for method in ("notifications/initialized", "tools/call"):
            sent = fake.last(method).headers
            assert (sent["mcp-session-id"], sent["mcp-protocol-version"]) == ("s-7", "2025-06-18")
        assert "mcp-param-query" not in fake.last("tools/call").headers
        assert "io.modelcontextprotocol/protocolVersion" not in fake.last("tools/call").params["_meta"]


def test_what_was_negotiated_is_kept(any_server: FakeMcpServer) -> None:
    call(any_server)
    before = len(any_server.asked)
    call(any_server)
    assert any_server.methods[before:] == ["tools/call"]


def test_each_user_has_a_session_of_their_own() -> None:
    with mcp_server.running(speaks="2025-06-18", session="s-1") as fake:
        call(fake, Authorization="Bearer alice")
        fake.session = "s-2"
        call(fake, Authorization="Bearer bob")
        call(fake, Authorization="Bearer alice")
        sent = [one.headers["mcp-session-id"] for one in fake.asked if one.method == "tools/call"]
        assert sent == ["s-1", "s-2", "s-1"]


def test_a_session_that_the_server_has_forgotten_is_begun_anew() -> None:
    with mcp_server.running(speaks="2025-06-18", session="s-1") as fake:
        call(fake)
        fake.known_sessions.clear()
        fake.session = "s-2"
        assert call(fake) == TEXT
        assert fake.methods[-4:] == ["server/discover", "initialize", "notifications/initialized", "tools/call"]
        assert fake.last("tools/call").headers["mcp-session-id"] == "s-2"


def test_a_server_that_forgets_every_session_is_asked_twice_only() -> None:
    with mcp_server.running(speaks="2025-06-18", session="s-1") as fake:
        fake.faults["tools/call"] = lambda handler: handler.error(404, -32000, "gone")
        with pytest.raises(CallRefused, match="It refuses the request: gone"):
            call(fake)
        assert fake.methods.count("tools/call") == 2


@pytest.mark.parametrize(("before", "after"), [("2026", "2025-11-25"), ("2025-11-25", "2026")])
def test_a_server_with_another_release_is_asked_anew_what_it_speaks(before: str, after: str) -> None:
    with mcp_server.running(speaks=before, session="s" if after != "2026" else "") as fake:
        call(fake)
        fake.speaks = after
        assert call(fake) == TEXT


@pytest.mark.parametrize(
    "refusal",
    [
        lambda handler: handler.error(400, -32000, "Bad Request: Unsupported protocol version"),
        lambda handler: handler.error(400, -32022, "Unsupported protocol version"),
        lambda handler: handler.error(404, -32601, "Method not found"),
        lambda handler: handler.send(404, b"<html>", "text/html"),
        lambda handler: handler.send(500, b""),
        lambda handler: handler.send(200, b"<html>", "text/html"),
        lambda handler: handler.send(200, b"data: {\n\n", "text/event-stream"),
        lambda handler: handler.answer({"supportedVersions": ["2025-11-25"]}),
        lambda handler: handler.answer([]),
    ],
)
def test_however_a_server_refuses_the_question_a_handshake_follows(refusal: Any) -> None:
    with mcp_server.running(speaks="2025-11-25", faults={"server/discover": refusal}) as fake:
        assert call(fake) == TEXT


@pytest.mark.parametrize("status", [401, 403, 429])
def test_a_server_that_refuses_the_credentials_is_not_asked_further(fake: FakeMcpServer, status: int) -> None:
    fake.faults["server/discover"] = lambda handler: handler.send(status, b'{"error": {"message": "the key k-1"}}')
    with pytest.raises(CallRefused) as caught:
        call(fake)
    assert fake.methods == ["server/discover"]
    assert "k-1" not in str(caught.value)


def test_a_revision_that_nobody_knows_is_refused() -> None:
    with (
        mcp_server.running(speaks="2024-11-05") as fake,
        pytest.raises(CallRefused, match=r"It speaks no revision of MCP that is known here\."),
    ):
        call(fake)


def test_a_refused_handshake_is_an_error() -> None:
    refused = {"notifications/initialized": lambda handler: handler.send(503, b"")}
    with (
        mcp_server.running(speaks="2025-11-25", faults=refused) as fake,
        pytest.raises(CallRefused, match=r"It answers with status 503\."),
    ):
        call(fake)


@pytest.mark.parametrize("session", ["ü", "x" * 1001])
def test_a_session_id_that_cannot_be_sent_back_is_an_error(session: str) -> None:
    with (
        mcp_server.running(speaks="2025-11-25", session=session) as fake,
        pytest.raises(AnswerBroken, match=r"Its session id cannot be sent back\."),
    ):
        call(fake)


def test_an_error_of_the_tool_is_no_reason_to_ask_anew(fake: FakeMcpServer) -> None:
    with pytest.raises(CallRefused, match="It refuses the request: Unknown tool: none"):
        call(fake, "none")
    assert fake.methods == ["server/discover", "tools/call"]


def test_pages_are_put_together() -> None:
    tools = [{**SEARCH, "name": f"search{number}"} for number in range(5)]
    with mcp_server.running(tools=tools, page_size=2) as fake:
        assert client(fake).list_tools().tools == tools


def test_a_list_without_end_is_an_error(fake: FakeMcpServer) -> None:
    fake.faults["tools/list"] = lambda handler: handler.answer({"tools": [], "nextCursor": "again"})
    with pytest.raises(AnswerBroken, match="more than 20 pages"):
        client(fake).list_tools()


def test_a_list_of_too_many_tools_is_an_error() -> None:
    with (
        mcp_server.running(tools=[{"name": "a"}] * 501, page_size=501) as fake,
        pytest.raises(AnswerBroken, match="more than 500 tools"),
    ):
        client(fake).list_tools()


@pytest.mark.parametrize("result", [{"tools": {}}, {}, [], "text", None])
def test_a_list_that_is_none_is_an_error(fake: FakeMcpServer, result: Any) -> None:
    fake.faults["tools/list"] = lambda handler: handler.answer(result)
    with pytest.raises(AnswerBroken, match="cannot be read"):
        client(fake).list_tools()


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (120_000, 120.0),
        (1, LEAST_TTL),
        (10**400, MOST_TTL),
        (-5, LEAST_TTL),
        ("long", DEFAULT_TTL),
        (None, DEFAULT_TTL),
        (True, DEFAULT_TTL),
    ],
)
def test_the_time_for_which_a_list_holds_has_limits(given: Any, seconds: float) -> None:
    with mcp_server.running(ttl=given) as fake:
        assert client(fake).list_tools().ttl == seconds


def test_nothing_of_headers_or_addresses_is_in_what_is_shown(fake: FakeMcpServer) -> None:
    assert repr(client(fake, Authorization="Bearer secret")).startswith("McpClient(deadline=")
