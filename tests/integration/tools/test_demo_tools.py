"""What the demo shows of tools: a lookup, a form, and what other users may not see. No model is needed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.demo.models import Project, VirtualMachine
from tests.demo.rows import fill
from tests.demo.settings import TOOLS
from waldur_chat.models import Message, ToolCall

pytestmark = pytest.mark.django_db(transaction=True)
OFFLINE = {"BACKEND": "waldur_chat.providers.offline.OfflineProvider", "OPTIONS": {"delay": 0}}


@pytest.fixture
def site(settings: Any, django_user_model: Any) -> Any:
    """The demo with its two users, by name."""
    settings.ROOT_URLCONF = "tests.demo.urls"
    settings.WALDUR_CHAT = {"TOOLS": TOOLS, "PROVIDERS": {"default": OFFLINE}}
    users = {
        name: django_user_model.objects.create(username=name, is_staff=name == "staff") for name in ("demo", "staff")
    }
    fill(users["demo"], users["staff"])
    fill(users["demo"], users["staff"])
    yield users
    cache.clear()


def client_of(user: Any) -> Client:
    return Client(HTTP_AUTHORIZATION=f"Token {Token.objects.get_or_create(user=user)[0].key}")


def ask(user: Any, question: str, **fields: str) -> str:
    """The answer to a question."""
    body = {"input": question, **fields}
    response = client_of(user).post("/api/chat/stream/", body, "application/json", HTTP_ACCEPT="text/plain")
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]


def execute(user: Any, tool: str, **arguments: str) -> tuple[int, Any]:
    response = client_of(user).post(
        "/api/chat-tools/execute/", {"tool": tool, "arguments": arguments}, "application/json"
    )
    return response.status_code, response.json()


def test_users_see_their_projects_and_staff_all(site: Any) -> None:
    assert "|Apollo|2|no|\n|Gemini|0|no|\n|Mercury|1|yes|" in ask(site["demo"], "List my projects")
    assert "Voyager" not in ask(site["demo"], "List my VMs")
    assert "Voyager" in ask(site["staff"], "List projects")


def test_what_is_missing_is_asked_for_by_a_form(site: Any) -> None:
    ask(site["demo"], "Create a VM called web-2")
    blocks = Message.objects.get(role="assistant").blocks
    shown = [block["result"] for block in blocks if block["key"] == "tool"]
    assert [block["key"] for block in shown] == ["markdown", "ask_user_form"]
    assert [question["header"] for question in shown[1]["questions"]] == ["Project", "Size"]
    assert [option["label"] for option in shown[1]["questions"][0]["options"]] == ["Apollo", "Gemini", "Mercury"]


def test_the_answer_of_the_form_completes_the_call(site: Any) -> None:
    ask(site["demo"], "Create a VM called web-2")
    ask(site["demo"], "Project: Apollo. Size: small.", thread_uuid=ToolCall.objects.all()[0].thread.uuid.hex)
    call = ToolCall.objects.get(tool="create_vm")
    assert json.loads(call.arguments) == {"name": "web-2", "project": "Apollo", "size": "small"}


@pytest.mark.parametrize(
    ("project", "status", "reason"),
    [
        ("Apollo", 200, "success"),
        ("Mercury", 422, "The project is closed."),
        ("Voyager", 200, "Object with name=Voyager does not exist."),
        ("Nowhere", 200, "Object with name=Nowhere does not exist."),
    ],
)
def test_machines_are_created_in_open_projects_of_the_user(site: Any, project: str, status: int, reason: str) -> None:
    answer = execute(site["demo"], "create_vm", name="web-2", project=project, size="small")
    assert (answer[0], reason in json.dumps(answer[1])) == (status, True)
    assert VirtualMachine.objects.filter(name="web-2").exists() is (project == "Apollo")


def test_calls_of_tools_count_in_the_throttle_of_the_views(site: Any) -> None:
    execute(site["demo"], "list_projects")
    assert len(cache.get(f"throttle_catalogue_{site['demo'].pk}")) == 1


def test_staff_get_one_link_more(site: Any) -> None:
    links = {name: execute(user, "show_links")[1]["ui_data"]["links"] for name, user in site.items()}
    assert [link["label"] for link in links["demo"]] == ["Documentation of the API"]
    assert [link["url"] for link in links["staff"]] == ["/api/docs/", "/admin/"]


def test_rows_have_names() -> None:
    assert [str(Project(name="a")), str(VirtualMachine(name="b"))] == ["a", "b"]


def test_an_approved_call_has_its_effect_and_shows_what_the_model_was_told(site: Any) -> None:
    ask(site["demo"], "Create a small VM called web-2 in project Gemini")
    call, client = ToolCall.objects.get(), client_of(site["demo"])
    assert not VirtualMachine.objects.filter(name="web-2").exists()
    approved = client.post(f"/api/chat-tool-calls/{call.uuid}/approve/", HTTP_ACCEPT="text/plain")
    assert "|Gemini|small|" in b"".join(approved.streaming_content).decode()  # type: ignore[attr-defined]
    assert VirtualMachine.objects.get(name="web-2").project.name == "Gemini"
    shown = client.get(f"/api/chat-tool-calls/{call.uuid}/").json()
    assert (shown["status"], json.loads(shown["result"])["name"]) == ("done", "web-2")
    assert client_of(site["staff"]).get(f"/api/chat-tool-calls/{call.uuid}/").status_code == 404
