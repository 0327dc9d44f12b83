"""No transaction and no database connection spans a call to a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, ClassVar

import pytest
from django.db import connection, transaction
from rest_framework.authentication import TokenAuthentication

from tests.integration.conftest import Caller
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.runtime.connections import release_connections


class Diary:
    """What happened, in order."""

    entries: ClassVar[list[str]] = []


class NotedAuthentication(TokenAuthentication):
    """Notes when the transaction of its request is committed."""

    def authenticate(self, request: Any) -> Any:
        transaction.on_commit(lambda: Diary.entries.append("committed"))
        return super().authenticate(request)


class NotedProvider(Provider):
    """Notes when it is asked."""

    writes_titles = False

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        Diary.entries.append("asked")
        yield Delta(text="Hello")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_a_request_in_a_transaction_commits_before_the_provider_is_asked(
    call: Caller, settings: Any, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    settings.WALDUR_CHAT = {"PROVIDERS": {"default": {"BACKEND": f"{__name__}.NotedProvider"}}}
    settings.REST_FRAMEWORK = {"DEFAULT_AUTHENTICATION_CLASSES": [f"{__name__}.NotedAuthentication"]}
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    Diary.entries.clear()
    assert call.post(f"/api/chat/{operation}/", {"input": "Hi"}).status == 200
    assert Diary.entries == ["committed", "asked"]


@pytest.mark.django_db
def test_a_connection_within_a_transaction_is_kept() -> None:
    connection.ensure_connection()
    assert not release_connections()
    assert connection.connection is not None


@pytest.mark.django_db(transaction=True)
def test_a_connection_without_a_transaction_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    connection.ensure_connection()
    monkeypatch.setattr(connection, "close", lambda: closed.append("closed"))
    assert release_connections()
    assert closed == ["closed"]
