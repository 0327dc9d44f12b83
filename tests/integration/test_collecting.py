"""A turn goes with its request. Django leaves much of that to the garbage collector, which may be long in coming."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import AsyncToSync
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.sessions.backends.db import SessionStore
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.authtoken.models import Token
from rest_framework.request import Request
from rest_framework.response import Response

from tests.unit.aio import run, until
from waldur_chat import shedding
from waldur_chat.api import cycles
from waldur_chat.api.views.chat import ChatViewSet
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ProviderBusy
from waldur_chat.testing import scripted


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What earlier tests have left is collected before."""
    AsyncToSync.executors.current = None  # Before asgiref 3.13 each look at what is not set leaves a cycle of frames.
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def there_are(kind: type) -> list[Any]:
    """All of that kind."""
    return [one for one in gc.get_objects() if type(one) is kind]  # Some objects hide what they are.


async def ask(
    application: Any, operation: str, token: str, question: str = "Hi", ended: asyncio.Event | None = None
) -> bytes:
    """What a server that gives a request to an application gets for its body. The client leaves when it has `ended`."""
    body, sent = json.dumps({"input": question}).encode(), b""
    ended = ended or asyncio.Event()
    received = [{"type": "http.request", "body": body}]

    async def receive() -> Any:
        if received:
            return received.pop()
        await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal sent
        sent += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    headers = {"authorization": f"Token {token}", "content-type": "application/json", "content-length": str(len(body))}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": f"/api/chat/{operation}/", "headers": raw}
    await application(scope, receive, send)
    return sent


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("operation", ["invoke", "stream"])
@pytest.mark.parametrize("make", [ASGIHandler, lambda: shedding.asgi(ASGIHandler())], ids=["django", "door"])
def test_no_turn_waits_for_the_collector(
    make: Callable[[], Any], operation: str, user: Any, settings: Any, *, stores: bool
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": stores}
    token = Token.objects.create(user=user).key

    async def main() -> None:
        with scripted("Hello"):
            before = len(there_are(Turn))
            for _ in range(5):
                assert b"Hello" in await ask(make(), operation, token)
            await until(lambda: len(there_are(Turn)) <= before)

    run(main())


OF_A_REQUEST = (ASGIRequest, Request, Response, ChatViewSet)


def counted() -> list[int]:
    """How many there are of each kind; one at least, since DRF's schema of a view keeps the latest."""
    return [len(there_are(kind)) for kind in OF_A_REQUEST]


def no_more_than(before: list[int]) -> bool:
    """Whether there are no more by now."""
    return all(now <= then for now, then in zip(counted(), before, strict=True))


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("case", ["invoke", "stream", "bad input", "no token", "a model that fails"])
def test_nothing_of_a_request_waits_for_the_collector(
    case: str, user: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, *, stores: bool
) -> None:
    monkeypatch.setattr(logging.getLogger("django.request"), "disabled", True)  # What it says has the request.
    settings.WALDUR_CHAT = {"STORAGE": stores, "ATTEMPTS": 1}
    token = "" if case == "no token" else Token.objects.create(user=user).key
    operation = "invoke" if case == "invoke" else "stream"
    asked = "" if case == "bad input" else "Hi"
    expected = {"bad input": b'"input"', "no token": b"credentials", "a model that fails": b"provider_busy"}

    async def main() -> None:
        with scripted(*([ProviderBusy()] if case == "a model that fails" else ["Hello"])):
            application = shedding.asgi(ASGIHandler())
            before: list[int] = []
            for _ in range(5):
                assert expected.get(case, b"Hello") in await ask(application, operation, token, asked)
                before = before or counted()
            await until(lambda: no_more_than(before))

    run(main())


@pytest.mark.parametrize("operation", ["invoke", "stream"])
def test_nothing_of_a_request_waits_for_the_collector_when_its_client_has_left(
    operation: str, user: Any, settings: Any
) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    token = Token.objects.create(user=user).key

    async def main() -> None:
        with scripted(60.0) as provider:
            application = shedding.asgi(ASGIHandler())
            before: list[int] = []
            for number in range(1, 6):
                leaving = asyncio.Event()
                asking = asyncio.create_task(ask(application, operation, token, ended=leaving))
                await until(lambda number=number: provider.opened == number)
                leaving.set()
                assert await asking == b""
                await until(lambda number=number: provider.closed == number)
                before = before or counted()
            await until(lambda: no_more_than(before))

    run(main())


def test_who_keeps_a_request_can_still_ask_whose_it_is(user: Any) -> None:
    request = RequestFactory().get("/")
    middleware = AuthenticationMiddleware(lambda request: HttpResponse())
    request.session = SessionStore()
    middleware(request)
    cycles.break_up_request(request)
    request.user = request._acached_user = user
    if hasattr(request, "auser"):  # Django 4 has none.
        assert run(request.auser()) == user


def test_a_request_may_go_when_its_answer_begins(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    token = Token.objects.create(user=user).key

    def requests() -> list[Any]:
        return there_are(ASGIRequest)

    async def main() -> None:
        with scripted("Hello", 60.0) as provider:
            others = requests()  # Which stay, since they are here.
            application = shedding.asgi(ASGIHandler())
            asking = [asyncio.create_task(ask(application, "stream", token)) for _ in range(5)]
            latest = 1  # DRF's schema of a view keeps the view, until it is made anew.
            await until(lambda: provider.opened == len(asking) and len(requests()) <= len(others) + latest)
            for one in asking:
                one.cancel()
            assert len((await asyncio.wait(asking))[0]) == len(asking)

    run(main())
