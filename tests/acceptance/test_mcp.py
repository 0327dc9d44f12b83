"""The client of MCP servers against servers of the package `mcp`, in environments of their own (`.ci/environment mcp`).

They need another sse-starlette than langserve does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance import needs
from tests.processes import ROOT, free_port, process
from waldur_chat.tools.mcp.client import McpClient
from waldur_chat.tools.mcp.content import result_of
from waldur_chat.tools.mcp.definitions import offered, read_all
from waldur_chat.tools.mcp.failures import McpFailure
from waldur_chat.tools.mcp.posting import Deadline
from waldur_chat.tools.mcp.revisions import key_of, revisions_of_process
from waldur_chat.tools.results import ToolResult

SERVERS = [("1",), ("1", "json"), ("1", "stateless"), ("2",), ("2", "json"), ("2", "stateless")]


@pytest.fixture(scope="module", params=SERVERS, ids="-".join)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The release of the package, and the address of its server."""
    release, *options = request.param
    python = ROOT / f".venv-mcp-{release}" / "bin" / "python"
    if not python.exists():
        needs.missing(f"the environment {python.parent.parent.name}")
    port = free_port()
    command = [str(python), "tests/acceptance/mcp_app.py", str(port), *options]
    with process(command, port, tmp_path_factory.mktemp("mcp") / "log", {}):
        yield release, f"http://127.0.0.1:{port}/mcp"


def client(server: tuple[str, str], seconds: float = 30.0) -> McpClient:
    """A client of the server."""
    return McpClient(url=server[1], headers={}, deadline=Deadline(seconds))


def call(server: tuple[str, str], name: str, **arguments: Any) -> ToolResult:
    """The result of a call."""
    return result_of(client(server).call_tool(name, {"arguments": arguments}, {}))


def failure(server: tuple[str, str], name: str) -> str:
    """Why a call fails, by its result or without one."""
    try:
        result = result_of(client(server, 5.0).call_tool(name, {"arguments": {}}, {}))
    except McpFailure as error:
        return str(error)
    assert result.outcome == "error"
    return result.error


def test_the_newest_revision_that_both_know_is_spoken(server: tuple[str, str]) -> None:
    client(server).list_tools()
    spoken = revisions_of_process().get(key_of(server[1], {}))
    assert spoken
    assert spoken.revision == {"1": "2025-11-25", "2": "2026-07-28"}[server[0]]


def test_its_tools_can_be_offered(server: tuple[str, str]) -> None:
    found, problems = read_all(client(server).list_tools().tools)
    assert problems == []
    assert [one.name for one in found] == ["search", "count", "fail", "greet"]
    search = offered(found[0].text)
    assert search.description == "Search the issues."
    assert search.schema["required"] == ["query"]
    assert search.schema["properties"]["limit"] == {"type": "integer", "default": 3}


def test_its_text_arrives(server: tuple[str, str]) -> None:
    assert call(server, "search", query="red").summary == "3 issues with red"


def test_its_data_arrive(server: tuple[str, str]) -> None:
    assert call(server, "count", words=["a", "b", "a"]).data == {"a": 2, "b": 1}


def test_its_errors_are_told(server: tuple[str, str]) -> None:
    assert {"1": "no such issue", "2": "Error executing tool fail"}[server[0]] in failure(server, "fail")


def test_wrong_arguments_are_told(server: tuple[str, str]) -> None:
    assert "query" in failure(server, "search")


def test_a_tool_that_is_not_there_is_told(server: tuple[str, str]) -> None:
    assert "Unknown tool: none" in failure(server, "none")


def test_a_tool_that_asks_the_user_is_an_error(server: tuple[str, str]) -> None:
    """Release 1 asks within its stream, or waits in vain where it has none; release 2 knows that it cannot ask."""
    words = failure(server, "greet")
    assert any(
        part in words for part in ("What is your name?", "elicitation/create", "did not answer within 5 seconds")
    )
