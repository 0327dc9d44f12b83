"""Servers that are dead, slow, endless, cut, or say something else than JSON-RPC."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.fake.mcp_server import FakeMcpServer, Handler
from tests.unit.mcp.test_client import call, client
from waldur_chat.tools.mcp import outages, posting
from waldur_chat.tools.mcp.client import McpClient
from waldur_chat.tools.mcp.failures import (
    AnswerBroken,
    CallRefused,
    McpFailure,
    NotConnected,
    NotReached,
    ServerDown,
)
from waldur_chat.tools.mcp.mcp_tool import _may_have_run
from waldur_chat.tools.mcp.outages import Outages
from waldur_chat.tools.mcp.posting import Deadline
from waldur_chat.tools.mcp.revisions import MODERN, Revisions, header_value


def answer(**values: Any) -> bytes:
    """A message of JSON-RPC."""
    return json.dumps({"jsonrpc": "2.0", **values}).encode()


def event(**values: Any) -> bytes:
    """The same as an event."""
    return b"data: " + answer(**values) + b"\n\n"


def with_length(length: int, body: bytes) -> Callable[[Handler], None]:
    """An answer that promises another length."""

    def send(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def wait(handler: Handler) -> None:
    """Say nothing until the test is over."""
    handler.fake.released.wait(30)


def trickle(handler: Handler) -> None:
    """A header now and then, without end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    while not handler.fake.released.wait(0.02):
        handler.wfile.write(b"X-Wait: 1\r\n")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda handler: handler.send(200, b"<html>", "text/html"), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, b"[]"), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, b"{}"), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, answer(id=0, result={})), "Its answer is to another request."),
        (lambda handler: handler.send(200, b'{"result": NaN}'), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, b"[" * 100_000), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, b"\xff\xfe\x00"), "Its answer is no JSON-RPC."),
        (lambda handler: handler.send(200, b"data: 1}\n\n", "text/event-stream"), "an event that is not JSON"),
        (lambda handler: handler.send(200, b"", "text/event-stream"), "ended before its result"),
        (lambda handler: handler.send(200, event(method="a"), "text/event-stream"), "ended before its result"),
        (lambda handler: handler.send(200, b"data: 7\n\n", "text/event-stream"), "ended before its result"),
        (lambda handler: handler.send(200, event(id=None), "text/event-stream"), "Its result cannot be read"),
        (lambda handler: handler.answer("text"), "Its result cannot be read."),
        (with_length(1000, answer(id=1, result={})), "Its answer broke off."),
        (lambda handler: handler.wfile.write(b"SSH-2.0\r\n\r\n"), "Its answer broke off."),
        (lambda _: None, "Its answer broke off."),
        (lambda handler: handler.endless("application/json", b" " * 65_536), "longer than 1000000 bytes"),
        (
            lambda handler: handler.endless("text/event-stream", b": " + b"x" * 60_000 + b"\n"),
            "longer than 1000000 bytes",
        ),
        (
            lambda handler: handler.endless("text/event-stream", b"data: " + b"x" * 60_000 + b"\n"),
            "longer than 1000000 bytes",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_error(fake: FakeMcpServer, fault: Any, words: str) -> None:
    fake.faults["tools/call"] = fault
    with pytest.raises(AnswerBroken, match=words):
        call(fake)


@pytest.mark.parametrize("fault", [wait, trickle, lambda handler: handler.endless("text/event-stream", b":\n")])
def test_a_server_that_does_not_end_is_left_at_the_deadline(fake: FakeMcpServer, fault: Any) -> None:
    call(fake)
    fake.faults["tools/call"] = fault
    with pytest.raises((ServerDown, AnswerBroken)):
        client(fake, 0.2).call_tool("search", {}, {})


def test_a_body_that_stops_is_left_at_the_deadline(fake: FakeMcpServer) -> None:
    call(fake)
    fake.faults["tools/call"] = lambda handler: (with_length(100, b"{")(handler), wait(handler))
    with pytest.raises(ServerDown, match=r"It did not answer within 0.2 seconds."):
        client(fake, 0.2).call_tool("search", {}, {})


def test_a_call_whose_time_is_used_up_is_not_sent(fake: FakeMcpServer) -> None:
    with pytest.raises(ServerDown, match=r"It did not answer within 0 seconds\."):
        client(fake, 0.0).list_tools()
    assert fake.asked == []


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        with pytest.raises(ServerDown, match=r"It cannot be reached \(ConnectionRefusedError\)."):
            McpClient(url=url, headers={}, deadline=Deadline(5)).list_tools()


def test_a_server_without_tls_is_no_https(fake: FakeMcpServer) -> None:
    with pytest.raises(ServerDown, match=r"It cannot be reached \(SSLError\)."):
        McpClient(url=fake.url.replace("http", "https"), headers={}, deadline=Deadline(5)).list_tools()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(fake: FakeMcpServer, status: int) -> None:
    fake.faults["tools/call"] = lambda handler: handler.send(status, b"", headers={"Location": fake.url})
    with pytest.raises(CallRefused, match=r"It redirects to another address, which is not followed\."):
        call(fake)
    assert fake.methods == ["server/discover", "tools/call"]


def test_a_cookie_is_not_sent_back(fake: FakeMcpServer) -> None:
    fake.faults["tools/call"] = lambda handler: handler.answer({}, headers={"Set-Cookie": "a=b"})
    call(fake)
    call(fake)
    assert "cookie" not in fake.last("tools/call").headers


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (
            {"method": "elicitation/create", "params": {"message": "Your\nname?"}},
            "It asks the user for something, which it cannot do here: Your name?",
        ),
        ({"method": "elicitation/create"}, "It wants 'elicitation/create', which is not supported here."),
        ({"method": "sampling/createMessage", "params": {}}, "It wants 'sampling/createMessage', which is not"),
    ],
)
def test_a_server_that_asks_back_is_refused(fake: FakeMcpServer, request_: Any, words: str) -> None:
    fake.faults["tools/call"] = lambda handler: handler.stream([{"id": 7, **request_}])
    with pytest.raises(CallRefused, match=words):
        call(fake)


def test_what_comes_before_the_result_is_passed_over(fake: FakeMcpServer) -> None:
    def send(handler: Handler) -> None:
        others = [{"method": "ping", "id": 1}, {"id": "other", "result": 0}, "x"]
        handler.stream([*others, {"id": handler.message["id"], "result": {"a": 1}}, {"id": 9}])

    fake.faults["tools/call"] = send
    assert call(fake) == {"a": 1}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": -32602, "message": "no\nsuch \x1b\ud83d key"}, "It refuses the request: no such key"),
        ({"code": "x"}, "It refuses the request: error -32603"),
        ({"code": 0, "message": "x" * 2000}, f"It refuses the request: {'x' * 500}$"),
    ],
)
def test_the_words_of_an_error_are_told(fake: FakeMcpServer, error: Any, words: str) -> None:
    fake.faults["tools/call"] = lambda handler: handler.send(200, answer(id=1, error=error))
    with pytest.raises(CallRefused, match=words):
        call(fake)


def test_a_server_without_answers_is_left_alone_for_a_while() -> None:
    now = [0.0]
    down = Outages(lambda: now[0])
    for _ in range(outages.FAILURES):
        down.check("a")
        down.failed("a")
    with pytest.raises(ServerDown, match="so it was not called"):
        down.check("a")
    down.check("b")
    now[0] += outages.SECONDS
    down.check("a")
    with pytest.raises(ServerDown):
        down.check("a")
    down.answered("a")
    down.check("a")


def test_a_dead_server_is_not_asked_by_every_call(fake: FakeMcpServer) -> None:
    fake.faults["server/discover"] = wait
    for _ in range(outages.FAILURES):
        with pytest.raises(ServerDown, match="did not answer"):
            client(fake, 0.05).list_tools()
    with pytest.raises(ServerDown, match="It has not answered lately"):
        client(fake).list_tools()
    assert len(fake.asked) <= outages.FAILURES


def test_refusals_are_answers(fake: FakeMcpServer) -> None:
    for _ in range(outages.FAILURES + 1):
        with pytest.raises(CallRefused):
            call(fake, "none")


@pytest.mark.parametrize(
    ("value", "sent"),
    [("plain value", "plain value"), (" a", "=?base64?IGE=?="), ("=?base64?a?=", "=?base64?PT9iYXNlNjQ/YT89?=")],
)
def test_values_of_headers_are_plain_or_in_base64(value: str, sent: str) -> None:
    assert header_value(value) == sent


def test_what_was_negotiated_is_forgotten_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Revisions()
    monkeypatch.setattr("waldur_chat.tools.mcp.revisions.KEPT_SECONDS", -1.0)
    kept.put("a", MODERN)
    assert kept.get("a") is None


def test_the_least_recently_used_session_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Revisions()
    monkeypatch.setattr("waldur_chat.tools.mcp.revisions.MOST_KEPT", 2)
    for key in "ab":
        kept.put(key, MODERN)
    kept.get("a")
    kept.put("c", MODERN)
    assert [kept.get(key) for key in "abc"] == [MODERN, None, MODERN]


def test_a_session_that_is_newer_is_not_forgotten() -> None:
    kept = Revisions()
    kept.put("a", MODERN)
    kept.forget("a", type(MODERN)(revision="2025-11-25"))
    kept.forget("b", MODERN)
    assert kept.get("a") == MODERN


def test_a_socket_that_is_closed_already_is_none_at_the_deadline() -> None:
    with socket.socket() as never_connected:
        posting._watch(never_connected, threading.Event(), Deadline(0.0))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (NotReached("No."), False),
        (NotConnected("No."), False),
        (CallRefused("No.", status=400), False),
        (CallRefused("No.", status=502), True),
        (ServerDown("Late."), True),
        (AnswerBroken("Cut."), True),
    ],
)
def test_a_call_may_have_run_if_it_was_sent_and_not_refused(failure: McpFailure, expected: bool) -> None:
    assert _may_have_run(failure) is expected
