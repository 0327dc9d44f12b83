"""Calls what is stored over the API, as somebody."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.integration.stored import turn_in
from waldur_chat.models import Message, Thread, Turn
from waldur_chat.users import uuid_of

JSON = "application/json"


class Person:
    """A user with a token. Answers are Django's responses."""

    def __init__(self, name: str, **fields: Any) -> None:
        self.user = get_user_model().objects.create_user(name, **fields)
        self.client = Client(headers={"Authorization": f"Token {Token.objects.create(user=self.user).key}"})

    @property
    def uuid(self) -> str:
        """As it stands on the wire."""
        return uuid_of(self.user).hex

    def get(self, path: str, **query: Any) -> Any:
        """GET below `/api/`."""
        return self.client.get(f"/api/{path}", query)

    def head(self, path: str, **query: Any) -> Any:
        """HEAD below `/api/`."""
        return self.client.head(f"/api/{path}", query)

    def send(self, method: str, path: str, data: Any = None) -> Any:
        """A request with a body of JSON, or with none, below `/api/`."""
        body = b"" if data is None else json.dumps(data).encode()
        return self.client.generic(method.upper(), f"/api/{path}", body, JSON)

    def post(self, path: str, data: Any = None) -> Any:
        """POST below `/api/`."""
        return self.send("POST", path, data)


def names(response: Any) -> list[str]:
    """The names of the conversations in a list."""
    assert response.status_code == 200, response.content
    return [thread["name"] for thread in response.json()]


def path_of(row: Thread | Message, act: str = "") -> str:
    """Where it is found below `/api/`."""
    kind = "threads" if isinstance(row, Thread) else "messages"
    return f"chat-{kind}/{row.uuid.hex}/{act}{'/' if act else ''}"


def message_of(thread: Thread, index: int, **changes: Any) -> Message:
    """The message of this index that stands now, and which is changed in the database."""
    found = Message.objects.get(thread=thread, sequence_index=index, is_current=True)
    Message.objects.filter(pk=found.pk).update(**{"is_current": True, **changes})
    return found


def running_in(thread: Thread, **fields: Any) -> Turn:
    """A turn that runs, and whose process lives."""
    turn = turn_in(thread, **fields)
    turn.expires += timedelta(minutes=1)
    turn.save()
    return turn


@pytest.fixture
def alice(db: None) -> Person:
    """An ordinary user."""
    return Person("alice", first_name="Alice", last_name="Liddell", email="alice@example.com")


@pytest.fixture
def bob(db: None) -> Person:
    """Another one."""
    return Person("bob")


@pytest.fixture
def staff(db: None) -> Person:
    """One of staff."""
    return Person("staff", is_staff=True)


@pytest.fixture
def support(db: None, monkeypatch: pytest.MonkeyPatch) -> Person:
    """One of support, of whom this host knows by a property."""
    is_support = property(lambda user: user.username == "support")
    monkeypatch.setattr(get_user_model(), "is_support", is_support, raising=False)
    return Person("support")
