"""Calls of the tools of a server: approval, credentials, failures, and what is noted of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model

from tests.fake.mcp_server import SEARCH, FakeMcpServer
from tests.integration.chatting import settled
from tests.integration.mcp.conftest import accept, fetch
from tests.integration.stored import client_of
from tests.integration.tools.answering import call, unframed
from tests.integration.turning import ask
from waldur_chat.events import Finished
from waldur_chat.models import ToolCall, ToolTrace
from waldur_chat.tools import ToolContext, ToolResult, execution, registry

pytestmark = pytest.mark.django_db(transaction=True)

HERE = "tests.integration.mcp.test_calls"
SEARCHED = call(1, "jira_search", '{"query": "red"}')


def of_user(user: Any) -> Any:
    """The headers of a user; carol has none."""
    return None if user.username == "carol" else {"Authorization": f"Bearer {user.username}"}


class Effects:
    """Notes that a call may write."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def traced(self) -> Any:
        """As the real ones."""
        from contextlib import nullcontext

        return nullcontext()

    def may_write(self) -> None:
        """Note it."""
        self.noted.append("may write")


def run(arguments: Any = None, user: Any = None, **context: Any) -> ToolResult:
    """What the tool returns."""
    tool = registry.site_tools().tools["jira_search"]
    text = json.dumps(arguments or {"query": "red"})
    return async_to_sync(execution.run)(tool, ToolContext(user=user, call=uuid4().hex, **context), text)


@pytest.fixture
def jira(fake: FakeMcpServer, site: Callable[..., Any]) -> FakeMcpServer:
    """The server of a site, with an accepted tool."""
    site()
    fetch()
    accept()
    return fake


def test_a_call_has_the_text_as_its_result(jira: FakeMcpServer) -> None:
    result = run()
    assert (result.outcome, result.data, result.summary) == ("success", "Three issues.", "Three issues.")
    assert jira.last("tools/call").params["arguments"] == {"query": "red"}


def test_a_call_has_a_key_of_its_own(jira: FakeMcpServer) -> None:
    run()
    first = jira.last("tools/call").params["_meta"]["waldur_chat/call"]
    run()
    assert len(first) == 32
    assert first != jira.last("tools/call").params["_meta"]["waldur_chat/call"]


def test_wrong_arguments_are_not_sent(jira: FakeMcpServer) -> None:
    assert run({"query": 7}).outcome == "validation_error"
    assert "tools/call" not in jira.methods


def test_arguments_are_repeated_in_the_headers_that_the_definition_wants(
    fake: FakeMcpServer, site: Callable[..., Any]
) -> None:
    site()
    properties = {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "inner": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "none": {"type": "string", "x-mcp-header": "None"},
    }
    fake.tools = [{**SEARCH, "inputSchema": {"type": "object", "properties": properties}}]
    fetch()
    accept()
    run({"region": "höhe", "inner": {"dry": True}, "count": 7})
    sent = fake.last("tools/call").headers
    assert sent["mcp-param-region"] == "=?base64?aMO2aGU=?="
    assert (sent["mcp-param-dry"], sent["mcp-param-count"], "mcp-param-none" in sent) == ("true", "7", False)


def test_a_failure_says_whether_the_call_may_have_had_its_effect(jira: FakeMcpServer) -> None:
    jira.faults["tools/call"] = lambda handler: handler.send(200, b"<html>")
    assert run().error == "The server 'jira' failed. Its answer is no JSON-RPC. The call may have had its effect."


def test_a_refusal_says_why(jira: FakeMcpServer) -> None:
    jira.faults["tools/call"] = lambda handler: handler.error(400, -32602, "No such field.")
    assert run().error == "The server 'jira' failed. It refuses the request: No such field."


def test_the_time_limit_is_that_of_the_entry(jira: FakeMcpServer, site: Callable[..., Any]) -> None:
    site(SECONDS=0.1)
    jira.faults["tools/call"] = lambda handler: handler.fake.released.wait(30)
    assert re.search("(longer than|within) 0.1 seconds", run().error)  # Of the tool, or of its request.


def test_a_call_that_may_write_is_noted_before_it_is_sent(jira: FakeMcpServer) -> None:
    effects = Effects()
    assert run(effects=effects).outcome == "success"
    assert effects.noted == ["may write"]


def test_a_user_calls_with_their_own_credentials(fake: FakeMcpServer, entry: Callable[..., Any], settings: Any) -> None:
    tools = entry()
    tools["jira"]["MCP"] |= {"headers": {"X-Site": "s-1"}, "user_headers": f"{HERE}.of_user"}
    settings.WALDUR_CHAT = {"TOOLS": tools}
    fetch()
    accept()
    assert "authorization" not in fake.last("tools/list").headers
    users = get_user_model().objects
    assert run(user=users.create(username="alice")).outcome == "success"
    sent = fake.last("tools/call").headers
    assert (sent["authorization"], sent["x-site"]) == ("Bearer alice", "s-1")
    before = len(fake.asked)
    result = run(user=users.create(username="carol"))
    assert result.error.endswith("The user has not connected their account with 'jira'. Tell them so.")
    assert len(fake.asked) == before


def test_a_call_waits_for_the_user_although_the_server_says_that_it_only_reads(
    jira: FakeMcpServer, model: Any, entry: Callable[..., Any]
) -> None:
    user = get_user_model().objects.create_user("alice")
    said = model([SEARCHED], ["There are three."], TOOLS=entry())
    events = ask(user, "Search red")
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "waiting"
    assert "tools/call" not in jira.methods
    uuid = ToolCall.objects.get().uuid.hex
    b"".join(client_of(user).post(f"/api/chat-tool-calls/{uuid}/approve/"))
    settled()
    assert jira.methods.count("tools/call") == 1
    assert (ToolCall.objects.get().status, ToolTrace.objects.count()) == ("done", 0)
    assert unframed(said.prompts[-1].messages[-1].text) == "Three issues."
    assert said.prompts[-1].messages[-1].text != "Three issues."


def test_a_call_that_was_approved_does_not_run_if_the_definition_has_changed_since(
    jira: FakeMcpServer, model: Any, entry: Callable[..., Any]
) -> None:
    user = get_user_model().objects.create_user("alice")
    said = model([SEARCHED], ["It is not there."], TOOLS=entry())
    ask(user, "Search red")
    jira.tools = [{**SEARCH, "description": "Other."}]
    fetch()
    uuid = ToolCall.objects.get().uuid.hex
    b"".join(client_of(user).post(f"/api/chat-tool-calls/{uuid}/approve/"))
    settled()
    assert "tools/call" not in jira.methods
    assert "not there any more" in said.prompts[-1].messages[-1].text


def test_what_the_operator_says_to_be_safe_runs_once_and_taints_what_follows(
    jira: FakeMcpServer, model: Any, entry: Callable[..., Any]
) -> None:
    user = get_user_model().objects.create_user("alice")
    model([SEARCHED], [SEARCHED], ["Three."], TOOLS=entry(OVERRIDES={"search": {"SAFE": True}}))
    events = ask(user, "Search red")
    assert jira.methods.count("tools/call") == 1
    assert isinstance(events[-1], Finished)
    assert events[-1].reason == "waiting"


def test_what_the_operator_trusts_is_not_asked_for(jira: FakeMcpServer, model: Any, entry: Callable[..., Any]) -> None:
    user = get_user_model().objects.create_user("alice")
    said = model([SEARCHED], [SEARCHED], ["Three."], TOOLS=entry(SAFE=True, TRUSTED=True, OUTWARD=False))
    ask(user, "Search red")
    assert jira.methods.count("tools/call") == 2
    assert said.prompts[-1].messages[-1].text == "Three issues."


def test_the_words_of_the_operator_come_before_those_of_the_server(
    jira: FakeMcpServer, site: Callable[..., Any]
) -> None:
    site(ROLES="staff", OVERRIDES={"search": {"DESCRIPTION": "Find issues.", "APPROVAL": "never"}, "other": {}})
    tool = registry.site_tools().tools["jira_search"]
    assert (tool.description, tool.approval, tool.roles) == ("Find issues.", "never", "staff")


def test_a_user_can_execute_a_tool_themselves(jira: FakeMcpServer) -> None:
    user = get_user_model().objects.create_user("alice")
    body = {"tool": "jira_search", "arguments": {"query": "red"}}
    response = client_of(user).post("/api/chat-tools/execute/", body, content_type="application/json")
    assert response.json() == {"type": "success", "summary": "Three issues.", "data": "Three issues."}
