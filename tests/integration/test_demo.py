"""`manage.py demo` sets up what it says; that it serves is in the acceptance tests."""

from __future__ import annotations

import re
import socket
import sys
from io import StringIO
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.authtoken.models import Token

pytestmark = pytest.mark.django_db


def demo(*arguments: str) -> str:
    """Run the command, and give what it prints."""
    output = StringIO()
    call_command("demo", *arguments, stdout=output)
    return output.getvalue()


def test_it_prints_the_address_the_token_and_three_calls() -> None:
    printed = demo("--setup-only", "--bind", "127.0.0.1:8123", "--token", "abc")
    assert printed.count("http://127.0.0.1:8123/api/chat/") == 3
    assert printed.count("Token abc") == 3
    assert [call for call in ("\ncurl ", "\nhttp ", "\npython3 ") if call not in printed] == []


def test_it_keeps_the_token_that_it_made() -> None:
    demo("--setup-only")
    key = Token.objects.get().key
    assert key in demo("--setup-only")


def test_it_makes_a_staff_user_who_reaches_the_admin(client: Client) -> None:
    demo("--setup-only")
    printed = demo("--setup-only")
    found = re.search(r"(http://\S+/admin/)  \(user (\S+), password (\S+)\)", printed)
    assert found is not None
    assert client.login(username=found[2], password=found[3])
    assert client.get("/admin/waldur_chat/thread/").status_code == 200


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WALDUR_CHAT_MODEL": "m"}, "neither OPENAI_BASE_URL nor OPENAI_API_KEY"),
        ({"OPENAI_BASE_URL": "http://localhost:1/v1"}, "WALDUR_CHAT_MODEL is not"),
    ],
)
def test_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    demo("--setup-only")
    assert said in capsys.readouterr().err


def test_it_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Model          none: the offline provider" in demo("--setup-only")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
    monkeypatch.setenv("WALDUR_CHAT_MODEL", "gemma3:4b")
    assert "Model          gemma3:4b\n" in demo("--setup-only")


def test_a_port_that_is_taken_is_told_before_the_calls() -> None:
    output = StringIO()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CommandError, match="--bind"):
        call_command("demo", "--bind", f"127.0.0.1:{taken.getsockname()[1]}", stdout=output)
    assert output.getvalue() == ""


def test_the_root_of_the_api_answers(client: Client) -> None:
    assert client.get("/api/").json()["stream"] == "http://testserver/api/chat/stream/"


def test_invoke_and_stream_come_first_in_the_documentation(client: Client) -> None:
    assert yaml.safe_load(client.get("/api/schema/").content)["tags"][0]["name"] == "chat"


def test_it_takes_another_token() -> None:
    demo("--setup-only")
    demo("--setup-only", "--token", "abc")
    assert [token.key for token in Token.objects.all()] == ["abc"]


@pytest.mark.parametrize("arguments", [["--bind", "8000"], ["--bind", "localhost:http"], ["--token", "x" * 41]])
def test_it_refuses_what_cannot_be(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match=arguments[0]):
        demo("--setup-only", *arguments)


def test_without_uvicorn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(CommandError, match="pip install"):
        demo()


def test_it_serves_where_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    served: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda application, **options: served.update(options))
    demo("--bind", "[::1]:8123")
    assert (served["host"], served["port"]) == ("::1", 8123)
