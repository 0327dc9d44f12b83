"""POST /api/chat-tools/execute/, as Waldur's clients call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.test import AsyncClient, Client
from django.urls import resolve
from rest_framework.throttling import UserRateThrottle

from tests.integration.tools.conftest import ALICE, ALICE_BY_TOKEN, ROLES, Role, traces

TOOLS = {
    "list_projects": {"VIEW": "project-list", "FIELDS": ["name"], "ROWS": 2},
    "patch_project": {"VIEW": "project-detail", "METHOD": "PATCH"},
    "crash": {"VIEW": "project-crash", "METHOD": "POST"},
    "quote": {"BACKEND": "tests.integration.tools.chat_tools.quote"},
    "show_board": {"BACKEND": "tests.integration.tools.chat_tools.Board"},
    "whoami": {"BACKEND": "tests.integration.tools.chat_tools.tell"},
}


@pytest.fixture(autouse=True)
def tools(projects: None, settings: Any) -> Any:
    """A site with these tools."""
    settings.WALDUR_CHAT = {"TOOLS": TOOLS}
    return settings


def execute(role: Role, tool: str, **arguments: Any) -> Any:
    """The response."""
    body = {"tool": tool, **({"arguments": arguments} if arguments else {})}
    return role.client().post("/api/chat-tools/execute/", body, content_type="application/json")


def test_a_view_answers_with_rows() -> None:
    response = execute(ALICE_BY_TOKEN, "list_projects")
    assert response.status_code == 200
    assert response.json() == {
        "type": "success",
        "summary": "2 of 3 rows.",
        "data": {"rows": [{"name": "one"}, {"name": "two"}], "total": 3, "more": "call again with page=2"},
    }


def test_it_works_on_an_event_loop() -> None:
    async def post() -> Any:
        sent = {"Authorization": f"Token {'a' * 40}"}
        body = {"tool": "list_projects", "arguments": {"page": 2}}
        return await AsyncClient().post("/api/chat-tools/execute/", body, content_type="application/json", headers=sent)

    assert async_to_sync(post)().json()["data"] == {"rows": [{"name": "three"}], "total": 3}


@pytest.mark.parametrize("role", [ROLES[0], ROLES[1]], ids=["token", "session"])
def test_a_write_is_the_users_own(role: Role) -> None:
    response = execute(role, "patch_project", id=1, budget=8)
    assert response.json()["data"]["budget"] == 8
    assert traces()["audit"] == [("alice", "203.0.113.7", "changed one")]
    assert traces()["counted"][ALICE] == 1


def test_wrong_arguments_are_a_result() -> None:
    response = execute(ALICE_BY_TOKEN, "list_projects", page="x")
    assert (response.status_code, response.json()["type"]) == (200, "validation_error")
    assert response.json()["summary"] == "page: 'x' is not of type 'integer'."


def test_what_the_view_refuses_is_a_422() -> None:
    response = execute(ALICE_BY_TOKEN, "patch_project", id=2, budget=8)
    assert (response.status_code, response.json()["detail"]) == (422, "The project is frozen.")


def test_what_the_host_fails_with_stays_there() -> None:
    response = execute(ALICE_BY_TOKEN, "crash", id=1)
    assert (response.status_code, response.json()["detail"]) == (422, "Internal Server Error")
    assert b"secret" not in response.content


@pytest.mark.parametrize(
    ("role", "tool", "status", "field", "words"),
    [
        (ROLES[0], "nothing", 400, "tool", "Tool 'nothing' is not recognized."),
        (ROLES[0], "whoami", 403, "detail", "Tool 'whoami' is not available for your role."),
        (ROLES[4], "whoami", 401, "detail", "Authentication credentials were not provided."),
        (ROLES[0], "x" * 101, 400, "tool", ["Ensure this field has no more than 100 characters."]),
    ],
)
def test_refusals(role: Role, tool: str, status: int, field: str, words: Any) -> None:
    response = execute(role, tool)
    assert (response.status_code, response.json()[field]) == (status, words)


def test_a_function_gets_what_its_hints_say() -> None:
    data = execute(ALICE_BY_TOKEN, "quote", size="small", hours=3, colours=["red"]).json()["data"]
    assert data == {"user": "alice", "size": "SMALL", "cost": "1.5", "since": "2026-01-01", "colours": ["red"]}


def test_a_coroutine_is_awaited() -> None:
    assert execute(ROLES[3], "whoami").json() == {"type": "success", "summary": "You are staff."}


def test_links_that_a_page_must_not_open_are_left_out() -> None:
    links = execute(ALICE_BY_TOKEN, "show_board").json()["ui_data"]["links"]
    assert links == [{"label": "a"}, {"label": "b", "url": "/b/"}]


@pytest.mark.parametrize(("enabled", "status"), [({"ENABLED": False}, 404), ({"ENABLED_ROLES": "staff"}, 403)])
def test_the_switches_of_the_chat_are_asked(tools: Any, enabled: dict[str, Any], status: int) -> None:
    tools.WALDUR_CHAT = {"TOOLS": TOOLS, **enabled}
    assert execute(ALICE_BY_TOKEN, "quote", size="small").status_code == status


def test_it_has_a_rate_of_its_own(tools: Any) -> None:
    tools.REST_FRAMEWORK = {**tools.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chat_execute": "1/hour"}}
    assert execute(ALICE_BY_TOKEN, "list_projects")["RateLimit-Policy"] == '"chat_execute";q=1;w=3600'
    assert execute(ALICE_BY_TOKEN, "list_projects").status_code == 429


@pytest.fixture
def host_rate(tools: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A host that counts each request of a user."""
    monkeypatch.setattr(UserRateThrottle, "THROTTLE_RATES", {"user": "1/hour"})
    path = "rest_framework.throttling.UserRateThrottle"
    tools.REST_FRAMEWORK = {**tools.REST_FRAMEWORK, "DEFAULT_THROTTLE_CLASSES": [path]}
    yield
    cache.clear()


@pytest.mark.parametrize(("tool", "counted"), [("quote", 1), ("nothing", 1), ("list_projects", 0)])
def test_the_hosts_rates_count_a_call_once(host_rate: None, tool: str, counted: int) -> None:
    """The view counts itself, by throttles of its own."""
    execute(ALICE_BY_TOKEN, tool, size="small")
    assert len(cache.get(f"throttle_user_{ALICE}") or ()) == counted
    if counted:
        assert execute(ALICE_BY_TOKEN, tool).status_code == 429


def test_no_transaction_is_around_it() -> None:
    assert resolve("/api/chat-tools/execute/").func._non_atomic_requests == {"default"}


def test_no_method_but_post_is_taken() -> None:
    assert Client(headers={"Authorization": f"Token {'a' * 40}"}).get("/api/chat-tools/execute/").status_code == 405
