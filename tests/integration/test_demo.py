"""`manage.py demo` sets up what it says; that it serves is in the acceptance tests."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework.authtoken.models import Token

pytestmark = pytest.mark.django_db


def demo(*arguments: str) -> str:
    """Run the command, and give what it prints."""
    output = StringIO()
    call_command("demo", *arguments, stdout=output)
    return output.getvalue()


def test_it_prints_the_address_the_token_and_three_calls() -> None:
    printed = demo("--setup-only", "--bind", "127.0.0.1:8123", "--token", "abc")
    assert printed.count("http://127.0.0.1:8123/api/chat/") == 4
    assert printed.count("Token abc") == 3
    assert [call for call in ("\ncurl ", "\nhttp ", "\npython3 ") if call not in printed] == []


def test_it_keeps_the_token_that_it_made() -> None:
    demo("--setup-only")
    key = Token.objects.get().key
    assert key in demo("--setup-only")


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
