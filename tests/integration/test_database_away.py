"""A database that cannot be reached is told as such, as JSON, wherever a view of ours is reached."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError
from rest_framework.authentication import TokenAuthentication

from tests.integration.conftest import Caller
from waldur_chat.store.conversations import threads
from waldur_chat.store.turns import preflight

REASON = "connection refused\nIs the server running?"


@pytest.fixture(params=[OperationalError, InterfaceError])
def away(request: Any) -> Any:
    """What asks the database then."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise request.param(REASON)

    return fail


@pytest.mark.parametrize("place", ["authentication", "question", "list"])
def test_it_is_a_503_with_a_code(
    call: Caller, monkeypatch: pytest.MonkeyPatch, away: Any, place: str, caplog: Any
) -> None:
    target: Any = {
        "authentication": (TokenAuthentication, "authenticate_credentials"),
        "question": (preflight, "load"),
        "list": (threads, "visible_to"),
    }[place]
    monkeypatch.setattr(*target, away)
    reply = call.get("/api/chat-threads/") if place == "list" else call.stream()
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "database_unavailable", "1")
    assert "X-Request-ID" in reply.headers
    assert any(line.endswith("Error: connection refused") for line in caplog.messages)


def test_a_table_that_is_not_there_is_another_fault(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> Any:
        raise OperationalError("no such table: waldur_chat_thread")

    monkeypatch.setattr(threads, "visible_to", fail)
    with pytest.raises(OperationalError):
        call.get("/api/chat-threads/")
