"""django-pghistory puts a statement of its own before each of ours, by a hook on the connection."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.needs import module
from tests.processes import TOKEN, Running, host

SERVERS = ("uvicorn", "gunicorn-gthread")


@pytest.fixture(scope="module", params=SERVERS)
def site(request: Any, postgresql_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The host; the offline provider answers."""
    module("pghistory")
    environment = {"DJANGO_SETTINGS_MODULE": "tests.host.history_settings"}
    settings = {"USER_TOKENS_DAILY": 10**6, "TITLES": True}
    directory: Path = tmp_path_factory.mktemp("hooks")
    with host(
        request.param, directory, database=postgresql_address, environment=environment, settings=settings
    ) as running:
        yield running


@pytest.fixture
def call(site: Running) -> Callable[..., Any]:
    """Call the API as the demo's user."""

    def call(method: str, path: str, body: object = None) -> Any:
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json", "Idempotency-Key": path}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{site.address}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request) as response:
            text = response.read().decode()
        return json.loads(text) if text else None

    return call


def test_questions_are_asked_answered_replaced_and_erased(call: Callable[..., Any]) -> None:
    thread = call("POST", "chat-threads/", {"name": "One"})["uuid"]
    for question in ({"input": "Hi"}, {"input": "More"}, {"mode": "reload"}):
        assert "offline" in call(
            "POST", f"chat/invoke/?{'-'.join(question)}{question.get('input')}", {**question, "thread_uuid": thread}
        )
    assert "offline" in call("POST", "chat/invoke/", {"input": "Hi"})
    messages = call("GET", f"chat-messages/?thread={thread}")
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2
    call("POST", f"chat-messages/{messages[1]['uuid']}/feedback/", {"score": True})
    call("POST", f"chat-threads/{thread}/cancel/")
    call("DELETE", f"chat-threads/{thread}/")
    call("DELETE", "chat-sessions/current/")
    assert call("GET", "chat-threads/") == []
