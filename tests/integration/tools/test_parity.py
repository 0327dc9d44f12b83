"""A tool of a view does what a request of the user does: the same answer, rows, audit and throttling."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.integration.tools.conftest import BOB, ROLES, Role, fill, traces
from tests.projects.access import Rate
from waldur_chat.models import ToolCall
from waldur_chat.tools.effects import Effects
from waldur_chat.tools.results import ToolResult
from waldur_chat.tools.views.view_tool import ViewTool

FEW = ROLES[:1]

CALLS: list[tuple[str, str, str, dict[str, Any], Any]] = [
    # View, method, path below /api/, path and query values, body.
    ("project-list", "GET", "projects/", {"page_size": 3}, None),
    ("project-list", "GET", "projects/", {"page_size": 2, "page": 2}, None),
    ("project-list", "GET", "projects/", {"page_size": 3, "search": "o", "ordering": "-name"}, None),
    ("project-list", "GET", "projects/", {"page_size": 3, "state": ["active", "frozen"]}, None),
    ("project-list", "GET", "projects/", {"page_size": 3, "page": 9}, None),
    ("project-list", "POST", "projects/", {}, {"name": "new", "budget": 5}),
    ("project-list", "POST", "projects/", {}, {"name": "new", "budget": 5000}),
    ("project-list", "POST", "projects/", {}, {"name": "   "}),
    ("project-detail", "GET", "projects/{id}/", {"id": 1}, None),
    ("project-detail", "GET", "projects/{id}/", {"id": 4}, None),
    ("project-detail", "PATCH", "projects/{id}/", {"id": 1}, {"budget": 8}),
    ("project-detail", "PATCH", "projects/{id}/", {"id": 2}, {"budget": 8}),
    ("project-detail", "PUT", "projects/{id}/", {"id": 3}, {"name": "renamed"}),
    ("project-detail", "DELETE", "projects/{id}/", {"id": 1}, None),
    ("project-stats", "GET", "projects/stats/", {}, None),
    ("project-take", "POST", "projects/take/", {}, {"name": "one"}),
    ("project-clash", "POST", "projects/clash/", {}, {"name": "one"}),
    ("project-durable", "POST", "projects/{id}/durable/", {"id": 1}, None),
    ("project-refuse", "POST", "projects/{id}/refuse/", {"id": 1}, None),
    ("project-later", "POST", "projects/{id}/later/", {"id": 1}, None),
    ("project-crash", "POST", "projects/{id}/crash/", {"id": 1}, None),
    ("project-twice", "POST", "projects/twice/", {}, {"name": "a"}),
    ("project-twice", "POST", "projects/twice/", {}, {"name": "a", "status": 409}),
]


@pytest.fixture(params=[False, True], ids=["plain", "atomic"])
def host(request: pytest.FixtureRequest, projects: None) -> None:
    """The host, and the one with a transaction around each view."""
    if request.param:
        request.getfixturevalue("atomic_requests")


@pytest.mark.parametrize("is_stored", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["alone", "stored"])
@pytest.mark.parametrize("roles", [FEW, pytest.param(ROLES, marks=pytest.mark.slow)], ids=["few", "all"])
@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[1]} {call[2]} {call[3]} {call[4]}")
def test_a_tool_leaves_what_a_request_leaves(
    host: None, call: tuple[str, str, str, dict[str, Any], Any], roles: tuple[Role, ...], is_stored: bool
) -> None:
    view, method, path, values, body = call
    tool = ViewTool(view, method)
    for role in roles:
        fill()
        status, answer = _by_http(role, method, path, values, body)
        expected, then = traces(), _reads(role)
        fill()
        effects = Effects(ToolCall.objects.create(tool=view, status="running").uuid) if is_stored else None
        result = role.run(tool, {**values, **(body or {})}, effects)
        assert _told(status, answer) == _result(result), role
        assert traces() == expected, role
        assert _reads(role) == then, role


@pytest.mark.parametrize("is_tool_first", [True, False])
def test_a_throttle_counts_requests_and_calls_together(
    projects: None, monkeypatch: pytest.MonkeyPatch, is_tool_first: bool
) -> None:
    monkeypatch.setattr(Rate, "THROTTLE_RATES", {"projects": "1/hour"})
    role, tool = FEW[0], ViewTool("project-list")
    if is_tool_first:
        assert role.run(tool, {}).outcome == "success"
        assert _by_http(role, "GET", "projects/", {}, None)[0] == 429
    else:
        assert _by_http(role, "GET", "projects/", {}, None)[0] == 200
        assert role.run(tool, {}).data["status"] == 429


@pytest.mark.parametrize(("address", "shown"), [("192.0.2.1", ["four", "hidden"]), ("192.0.2.2", ["four"])])
def test_who_calls_from_a_network_is_shown_what_is_shown_there(host: None, address: str, shown: list[str]) -> None:
    fill()
    role = Role("bob by token", BOB, "token")
    over_http = role.client().get("/api/projects/", REMOTE_ADDR=address).json()["results"]
    result = role.run(ViewTool("project-list"), {}, REMOTE_ADDR=address)
    assert [row["name"] for row in over_http] == [row["name"] for row in result.data["rows"]] == shown


def _reads(role: Role) -> list[Any]:
    """What the host's own endpoints answer afterwards."""
    listed = _by_http(role, "GET", "projects/", {"page_size": 3, "ordering": "-name"}, None)
    if isinstance(listed[1], dict) and "results" in listed[1]:
        listed[1]["results"] = [_same_ids(row) for row in listed[1]["results"]]
    detail, stats = (_by_http(role, "GET", f"projects/{path}/", {}, None) for path in (3, "stats"))
    return [listed, detail, stats]


def _by_http(role: Role, method: str, path: str, values: dict[str, Any], body: Any) -> tuple[int, Any]:
    query = urlencode({name: value for name, value in values.items() if name != "id"}, doseq=True)
    address = f"/api/{path.format(**values)}{'?' if query else ''}{query}"
    content = b"" if body is None else json.dumps(body).encode()
    response = role.client().generic(method, address, content, "application/json")
    is_json = response.headers.get("Content-Type", "") == "application/json"
    return response.status_code, _same_ids(response.json()) if is_json and response.content else None


def _same_ids(answer: Any) -> Any:
    """The answer without the id of a new row, which is a new one each time."""
    return {**answer, "id": 0} if isinstance(answer, dict) and answer.get("id", 0) > 5 else answer


def _told(status: int, answer: Any) -> tuple[int, Any]:
    """What the model is to learn of an HTTP response: rows instead of pages, and no page of an error."""
    if status < 300 and isinstance(answer, dict) and "results" in answer:
        return 200, (answer["results"], answer["count"], bool(answer["next"]))
    return (200, answer) if status < 300 else (status, answer or "Internal Server Error")


def _result(result: ToolResult) -> tuple[int, Any]:
    if result.outcome != "success":
        return result.data["status"], result.data["answer"]
    if isinstance(result.data, dict) and "rows" in result.data:
        return 200, (result.data["rows"], result.data["total"], "more" in result.data)
    return 200, _same_ids(result.data)
