"""A turn goes with its request. Django leaves much of that to the garbage collector, which may be long in coming."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from rest_framework.authtoken.models import Token

from tests.unit.aio import run, until
from waldur_chat import shedding
from waldur_chat.engine.turn import Turn
from waldur_chat.testing import scripted


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """What earlier tests have left is collected before."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def there_are(kind: type) -> list[Any]:
    """All of that kind."""
    return [one for one in gc.get_objects() if type(one) is kind]  # Some objects hide what they are.


async def ask(application: Any, operation: str, token: str) -> bytes:
    """What a server that gives a request to an application gets for its body."""
    body, ended, sent = json.dumps({"input": "Hi"}).encode(), asyncio.Event(), b""
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


def test_a_request_may_go_when_its_answer_begins(user: Any, settings: Any) -> None:
    settings.WALDUR_CHAT = {"STORAGE": False}
    token = Token.objects.create(user=user).key

    def requests() -> list[Any]:
        gc.collect()  # Django's messages and their request point to each other.
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
