"""A turn goes with its end, though its request may wait for the garbage collector, which may be long in coming."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import AsyncToSync
from django.core.handlers.asgi import ASGIHandler
from rest_framework.authtoken.models import Token

from tests.unit.aio import run, until
from waldur_chat import shedding
from waldur_chat.engine.turn import Turn
from waldur_chat.testing import scripted


@pytest.fixture(scope="module", autouse=True)
def no_collector() -> Iterator[None]:
    """What earlier tests have left is collected before, and what stays is not looked at."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_executor() -> None:
    """Before asgiref 3.13 each look at what is not set leaves a cycle of frames."""
    AsyncToSync.executors.current = None


def there_are(kind: type) -> list[Any]:
    """All of that kind that the tests of this module have made."""
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
