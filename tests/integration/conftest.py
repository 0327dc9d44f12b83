"""Clients of both colours: every case runs as a WSGI request and as an ASGI request, in one process."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.http import HttpResponseBase
from django.test import AsyncClient, Client
from rest_framework.authtoken.models import Token

from tests.constance_host import host, stored_values  # noqa: F401  # Fixtures.
from tests.integration.chatting import until
from tests.integration.rest import alice, bob, staff, support  # noqa: F401  # Fixtures.from waldur_chat.turns.follower import follower_of_process
from waldur_chat.turns.follower import follower_of_process

JSON = "application/json"


@dataclass(kw_only=True)
class Reply:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(kw_only=True)
class Caller:
    """Calls the API as a user with a token."""

    colour: str
    token: str

    def invoke(self, data: Any = None, **headers: str) -> Reply:
        """POST /api/chat/invoke/, without a body where no data is given."""
        return self.post("/api/chat/invoke/", data, **headers)

    def stream(self, data: Any = None, **headers: str) -> Reply:
        """POST /api/chat/stream/."""
        return self.post("/api/chat/stream/", {"input": "Hello"} if data is None else data, **headers)

    def get(self, path: str, **headers: str) -> Reply:
        """GET; header names are written with underscores."""
        return self._send("GET", path, b"", JSON, headers)

    def post(self, path: str, data: Any = None, content_type: str = JSON, **headers: str) -> Reply:
        """POST; bytes go as they are, and header names are written with underscores."""
        body = data if isinstance(data, bytes) else b"" if data is None else json.dumps(data).encode()
        return self._send("POST", path, body, content_type, headers)

    def _send(self, method: str, path: str, body: bytes, content_type: str, headers: dict[str, str]) -> Reply:
        sent = {"Authorization": f"Token {self.token}"} if self.token else {}
        sent.update({name.replace("_", "-"): value for name, value in headers.items()})
        send = _send if self.colour == "wsgi" else async_to_sync(_asend)
        return send(method, path, body, content_type, sent)


def _send(method: str, path: str, body: bytes, content_type: str, headers: dict[str, str]) -> Reply:
    response = Client().generic(method, path, body, content_type, headers=headers)
    return _reply(response, list(response))


async def _asend(method: str, path: str, body: bytes, content_type: str, headers: dict[str, str]) -> Reply:
    response = await AsyncClient().generic(method, path, body, content_type, headers=headers)
    pieces = [piece async for piece in response] if response.streaming else list(response)
    return _reply(response, pieces)


def _reply(response: HttpResponseBase, pieces: list[bytes]) -> Reply:
    return Reply(status=response.status_code, headers=dict(response.items()), body=b"".join(pieces))


class _Unexpected(logging.Handler):
    """Keeps the records that are not of a turn's end."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not hasattr(record, "turn"):
            self.messages.append(f"{record.name}: {record.getMessage()}")


@pytest.fixture(scope="session", autouse=True)
def the_log_of_turns_has_a_record_of_each_and_nothing_else() -> Iterator[None]:
    """Hosts count turns by the lines of the logger `waldur_chat.turns`, which is also the name of a package of ours."""
    logger, handler = logging.getLogger("waldur_chat.turns"), _Unexpected()
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)
    assert handler.messages == []


@pytest.fixture(scope="session", autouse=True)
def no_thread_outlives_the_database(django_db_setup: None) -> Iterator[None]:
    """A thread that follows a turn which a test has left running ends before the database does."""
    yield
    follower_of_process()._followed.clear()
    until(lambda: not any(thread.name.startswith("waldur-chat-follower") for thread in threading.enumerate()))


@pytest.fixture
def user(transactional_db: None) -> Any:
    """An ordinary user."""
    return get_user_model().objects.create_user("alice")


@pytest.fixture(params=["wsgi", "asgi"])
def call(request: pytest.FixtureRequest, user: Any) -> Caller:
    """Calls the API as the user."""
    return Caller(colour=request.param, token=Token.objects.create(user=user).key)
