"""The door in front of Django lets in as many chat requests as can run and wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest
from django.core.asgi import get_asgi_application
from rest_framework.authtoken.models import Token

from tests.unit.aio import run, until
from waldur_chat import shedding
from waldur_chat.api.responses import deferred
from waldur_chat.asgi.executor import RequestExecutor
from waldur_chat.testing import scripted

STREAM = "/api/chat/stream/"


@pytest.fixture(autouse=True)
def room_for_two(settings: Any) -> None:
    settings.WALDUR_CHAT = {"TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 1}


class Site:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.finish = asyncio.Event()

    async def asgi(self, scope: Any, receive: Any, send: Any) -> None:
        self.inside += 1
        await self.finish.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})


def scope(path: str = STREAM, method: str = "POST", **further: Any) -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path, "headers": [], **further}


async def ask(application: Any, scope: dict[str, Any], receive: Any = None) -> list[dict[str, Any]]:
    """What the application sends."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return sent


def test_who_is_too_many_is_refused_and_room_is_made_by_who_leaves() -> None:
    async def main() -> None:
        site = Site()
        application = shedding.asgi(site.asgi)
        inside = [asyncio.create_task(ask(application, scope())) for _ in range(2)]
        await until(lambda: site.inside == 2)
        start, body = await ask(application, scope(headers=[(b"x-request-id", b"r-1")]))
        assert start["status"] == 503
        assert dict(start["headers"])[b"retry-after"] == b"5"
        assert dict(start["headers"])[b"x-request-id"] == b"r-1"
        assert json.loads(body["body"])["code"] == "chat_busy"
        site.finish.set()
        await asyncio.gather(*inside)
        assert (await ask(application, scope()))[0]["status"] == 200

    run(main())


def test_who_is_cancelled_leaves_too() -> None:
    async def main() -> None:
        site = Site()
        application = shedding.asgi(site.asgi)
        inside = [asyncio.create_task(ask(application, scope())) for _ in range(2)]
        await until(lambda: site.inside == 2)
        for task in inside:
            task.cancel()
        await asyncio.wait(inside)
        site.finish.set()
        assert (await ask(application, scope()))[0]["status"] == 200

    run(main())


@pytest.mark.parametrize(
    "other",
    [
        scope("/"),
        scope("/no/such/path/"),
        scope(method="GET"),
        scope("/api/schema/"),
        {"type": "lifespan"},
        {"type": "websocket", "path": STREAM},
    ],
)
def test_other_requests_are_let_through(other: dict[str, Any], settings: Any) -> None:
    async def main() -> None:
        site = Site()
        site.finish.set()
        assert await ask(shedding.asgi(site.asgi), other)

    settings.WALDUR_CHAT = {"TURNS_PER_PROCESS": 1, "QUEUE_LENGTH": 0}
    run(main())


def test_the_path_is_that_below_the_root() -> None:
    assert shedding._is_chat_scope(scope("/below/api/chat/invoke/", root_path="/below"))
    assert not shedding._is_chat_scope(scope("/below/api/chat/invoke/"))


def test_without_a_limit_everybody_is_let_in(settings: Any) -> None:
    async def main() -> None:
        site = Site()
        application = shedding.asgi(site.asgi)
        tasks = [asyncio.create_task(ask(application, scope())) for _ in range(9)]
        await until(lambda: site.inside == 9)
        site.finish.set()
        await asyncio.gather(*tasks)

    settings.WALDUR_CHAT = {"TURNS_PER_PROCESS": None}
    run(main())


class Closable(list[bytes]):
    """A response that can be closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def environ(path: str = STREAM, **further: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": "POST", "PATH_INFO": path, **further}


def test_under_wsgi_it_is_the_same() -> None:
    responses = [Closable([b"a"]) for _ in range(3)]
    waiting = list(responses)
    started: list[tuple[str, dict[str, str]]] = []

    def start_response(status: str, headers: list[tuple[str, str]]) -> None:
        started.append((status, dict(headers)))

    application = shedding.wsgi(lambda environ, start_response: waiting.pop(0))
    inside: list[Any] = [application(environ(), start_response) for _ in range(2)]
    assert [b"".join(one) for one in inside] == [b"a", b"a"]
    (body,) = application(environ(HTTP_X_REQUEST_ID="r-1"), start_response)
    ((status, headers),) = started
    assert status == "503 Service Unavailable"
    assert (headers["Retry-After"], headers["X-Request-ID"]) == ("5", "r-1")
    assert json.loads(body)["retry_after"] == 5
    inside[0].close()
    assert responses[0].closed == 1
    assert b"".join(application(environ(), start_response)) == b"a"


def test_a_wsgi_response_without_close_leaves_too() -> None:
    application = shedding.wsgi(lambda environ, start_response: [b"a"])
    for _ in range(5):
        response: Any = application(environ(), None)
        response.close()


def test_an_application_that_fails_leaves_too() -> None:
    def fails(environ: Any, start_response: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    application = shedding.wsgi(fails)
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            application(environ(), None)


def test_other_wsgi_requests_are_let_through() -> None:
    application = shedding.wsgi(lambda environ, start_response: [b"a"])
    assert application(environ("/"), None) == [b"a"]


@pytest.mark.parametrize(("steps", "times"), [(["Hello"], 0), ([0.2, "Hello"], 1)])
def test_who_was_let_in_is_answered_and_leaves_the_thread_to_others_while_the_model_thinks(
    user: Any, steps: list[Any], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    released: list[object] = []

    async def release(**_: Any) -> None:
        released.append("asgiref's")

    monkeypatch.setattr(RequestExecutor, "end", lambda self: None)  # Which releases it once more.
    monkeypatch.setattr(RequestExecutor, "release", lambda self: released.append(self))
    monkeypatch.setattr(deferred, "release_request_thread", release)
    received = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        return received.pop() if received else await asyncio.Event().wait()

    token = Token.objects.create(user=user).key
    asked = scope("/api/chat/invoke/", headers=[(b"authorization", f"Token {token}".encode())])
    with scripted(*steps):
        start, body = run(ask(shedding.asgi(get_asgi_application()), asked, receive))
    assert (start["status"], body["body"]) == (200, b'"Hello"')
    assert len(released) == times
