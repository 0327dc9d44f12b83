"""Clients that leave before the answer: seen in one process; the acceptance tests see it on real servers."""

from __future__ import annotations

import asyncio
import socket
import time
from io import BytesIO
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from tests.integration.conftest import JSON, Caller
from waldur_chat.api import pending
from waldur_chat.api.hangup import has_hung_up
from waldur_chat.api.parsers import BodyTooLarge, BoundedJSONParser
from waldur_chat.testing import Script, scripted

BODY = {"path": "/api/chat/stream/", "data": {"input": "Hi"}, "content_type": JSON}


def closes(provider: Script) -> bool:
    """Whether the provider's only stream is closed soon."""
    deadline = time.monotonic() + 5
    while provider.closed < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return provider.opened == provider.closed == 1


@pytest.fixture
def authorization(call: Caller) -> dict[str, str]:
    """The user's header."""
    return {"Authorization": f"Token {call.token}"}


def test_a_socket_that_the_other_side_closed_has_hung_up() -> None:
    ours, theirs = socket.socketpair()
    with ours:
        assert not has_hung_up({"gunicorn.socket": ours})
        theirs.close()
        assert has_hung_up({"gunicorn.socket": ours})


def test_where_there_is_no_socket_nobody_is_known_to_have_gone() -> None:
    closed = socket.socket()
    closed.close()
    assert not has_hung_up({})
    assert not has_hung_up({"gunicorn.socket": closed})


@pytest.mark.parametrize("steps", [(60,), ("Hello", 60)])
def test_a_wsgi_client_that_has_gone_ends_the_turn(authorization: dict[str, str], steps: tuple[Any, ...]) -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, scripted(*steps) as provider:
        response = Client().post(**BODY, headers=authorization, **{"gunicorn.socket": ours})
        list(response)
        response.close()
        assert closes(provider)


def test_a_wsgi_client_that_stays_gets_his_answer(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "POLL_SECONDS", 0.05)
    with scripted(0.2, "Hello"):
        assert call.invoke().json == "Hello"


def test_a_wsgi_client_that_reads_no_further_ends_the_turn(authorization: dict[str, str]) -> None:
    with scripted("Hello", 60) as provider:
        response = Client().post(**BODY, headers=authorization)
        next(iter(response))
        response.close()
        assert closes(provider)


def test_an_asgi_client_that_leaves_before_the_first_event_ends_the_turn(authorization: dict[str, str]) -> None:
    async def leave(provider: Script) -> bool:
        asking = asyncio.ensure_future(AsyncClient().post(**BODY, headers=authorization))
        while not provider.opened:  # noqa: ASYNC110  # The provider only counts.
            await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.wait([asking])
        return asking.cancelled()

    with scripted(60) as provider:
        assert async_to_sync(leave)(provider)
        assert closes(provider)


def test_an_asgi_client_that_reads_no_further_ends_the_turn(authorization: dict[str, str]) -> None:
    async def leave() -> None:
        response = await AsyncClient().post(**BODY, headers=authorization)
        pieces = aiter(response)
        await anext(pieces)
        await pieces.aclose()
        await asyncio.sleep(0.05)

    with scripted("Hello", 60) as provider:
        async_to_sync(leave)()
        assert closes(provider)


def test_a_response_that_nobody_reads_ends_the_turn(authorization: dict[str, str]) -> None:
    with scripted("Hello", 60) as provider:
        response = Client().post(**BODY, headers=authorization)
        response.streaming_content = []
        del response._body
        response._resource_closers.clear()
        assert closes(provider)


@pytest.mark.django_db(transaction=True)
def test_a_request_without_a_transaction_holds_no_connection_to_give_back(call: Caller) -> None:
    with scripted("Hello"):
        assert call.stream().status == 200


def test_a_body_without_a_length_is_measured_as_it_is_read(settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    with pytest.raises(BodyTooLarge):
        BoundedJSONParser().parse(BytesIO(b"x" * 11))
