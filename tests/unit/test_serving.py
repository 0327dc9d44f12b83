"""A chat request is served as Django serves it, whatever becomes of its client and its server."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import get_script_prefix, path

from tests.unit.aio import run, until
from waldur_chat.api.executor import RequestExecutor
from waldur_chat.api.fast_path import shorten

pytestmark = pytest.mark.usefixtures("resting")

HANG_UP = {"type": "http.disconnect"}


class Client:
    """One request, what comes of it, and what the view notes of it."""

    def __init__(self, where: str, body: bytes = b"asked", *, has_begun: bool = True, **further: Any) -> None:
        self.scope = {"type": "http", "method": "POST", "path": where, "headers": [], **further}
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.sent: list[Any] = []
        if has_begun:
            self.received.put_nowait({"type": "http.request", "body": body})

    def hang_up(self) -> None:
        self.received.put_nowait(HANG_UP)

    async def receive(self) -> Any:
        message = await self.received.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def ask(self, handler: Any = None) -> None:
        """As the server does."""
        handler = handler or ASGIHandler()
        shorten(handler)
        async with RequestExecutor():
            await handler(self.scope, self.receive, self.send)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


noted: list[str] = []
requests: list[weakref.ref[HttpRequest]] = []


async def whole(request: HttpRequest) -> HttpResponse:
    """A view that gives back what it got."""
    response = HttpResponse(b"whole: " + request.body + get_script_prefix().encode())
    response.set_cookie("seen", "yes")
    return response


async def slow(request: HttpRequest) -> HttpResponse:
    """A view that waits for ever."""
    try:
        noted.append("waits")
        await asyncio.Event().wait()
    finally:
        noted.append("stopped")
    raise AssertionError


async def pieces(fails: bool) -> AsyncIterator[bytes]:
    """The body of a stream that does not end by itself."""
    try:
        yield b"one"
        yield b"two"
        if fails:
            raise ValueError("broken")
        noted.append("waits")
        await asyncio.Event().wait()
    finally:
        noted.append("closed")


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A view that streams."""
    requests.append(weakref.ref(request))
    return StreamingHttpResponse(pieces(fails=False))


class Parted(StreamingHttpResponse):
    """A stream that says that it needs nothing of its request."""

    needs_request = False


async def parted(request: HttpRequest) -> StreamingHttpResponse:
    """One whose request may go."""
    requests.append(weakref.ref(request))
    return Parted(pieces(fails=False))


async def broken(request: HttpRequest) -> StreamingHttpResponse:
    """One whose stream breaks."""
    return StreamingHttpResponse(pieces(fails=True))


urlpatterns = [path(f"{view.__name__}/", view) for view in (whole, slow, stream, parted, broken)]


@pytest.fixture(autouse=True)
def site(settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = []

    def tell(**_: Any) -> None:
        noted.append("finished")

    noted.clear()
    requests.clear()
    request_finished.connect(tell)
    yield
    request_finished.disconnect(tell)


def test_an_answer_has_its_head_and_its_body() -> None:
    async def main() -> None:
        client = Client("/below/whole/", root_path="/below")
        await client.ask()
        start, body = client.sent
        assert start["status"] == 200
        assert (b"Content-Type", b"text/html; charset=utf-8") in start["headers"]
        assert (b"Set-Cookie", b"seen=yes; Path=/") in start["headers"]
        assert body["body"] == b"whole: asked/below/"
        assert noted == ["finished"]

    run(main())


def test_a_request_that_is_none_is_refused() -> None:
    async def main() -> None:
        client = Client("/whole/", query_string=b"\xff")
        await client.ask()
        assert client.sent[0]["status"] == 400
        assert noted == ["finished"]

    run(main())


def test_who_hangs_up_while_he_sends_is_not_answered() -> None:
    async def main() -> None:
        client = Client("/whole/", has_begun=False)
        client.hang_up()
        await client.ask()
        assert client.sent == []

    run(main())


def test_who_hangs_up_before_there_is_an_answer_stops_the_view() -> None:
    async def main() -> None:
        client = Client("/slow/")
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: noted == ["waits"])
        client.hang_up()
        await asking
        assert client.sent == []
        assert noted == ["waits", "stopped", "finished"]

    run(main())


@pytest.mark.parametrize(("where", "keeps"), [("/stream/", True), ("/parted/", False)])
def test_who_hangs_up_while_he_is_answered_closes_the_stream_which_kept_its_request_if_it_needs_it(
    where: str, keeps: bool
) -> None:
    async def main() -> None:
        client = Client(where)
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: noted == ["waits"])
        assert (requests[0]() is not None) == keeps
        client.hang_up()
        await asking
        assert client.body == b"onetwo"
        assert noted == ["waits", "closed", "finished"]

    run(main())


def test_a_stream_that_breaks_is_closed_and_its_error_is_the_servers() -> None:
    async def main() -> None:
        client = Client("/broken/")
        with pytest.raises(ValueError, match="broken"):
            await client.ask()
        assert client.sent[-1]["more_body"] is True
        assert noted == ["closed", "finished"]

    run(main())


@pytest.mark.parametrize("where", ["/slow/", "/stream/"])
def test_a_server_that_stops_cancels_the_request(where: str) -> None:
    async def main() -> None:
        client, before = Client(where), len(asyncio.all_tasks())
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: noted == ["waits"])
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()
        assert noted[-1] == "finished"
        await until(lambda: len(asyncio.all_tasks()) == before)  # Nobody listens any more.

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not tell how often a task was cancelled.")
def test_a_server_that_stops_is_heard_even_when_the_client_hangs_up_too() -> None:
    async def main() -> None:
        client = Client("/stream/")
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: noted == ["waits"])
        client.hang_up()
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled()

    run(main())


def test_a_server_that_fails_to_listen_is_told() -> None:
    async def main() -> None:
        client = Client("/stream/")
        asking = asyncio.ensure_future(client.ask())
        await until(lambda: noted == ["waits"])
        client.received.put_nowait(OSError("lost"))
        with pytest.raises(OSError, match="lost"):
            await asking
        assert noted == ["waits", "closed", "finished"]

    run(main())


@pytest.mark.parametrize("method", ["handle", "send_response"])
def test_a_handler_that_serves_in_a_way_of_its_own_does(method: str) -> None:
    async def own(*_: Any) -> None:
        noted.append("own")

    async def main() -> None:
        await Client("/whole/").ask(type("Own", (ASGIHandler,), {method: own})())
        assert noted[0] == "own"

    run(main())
