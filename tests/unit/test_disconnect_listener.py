"""Who leaves is noticed where Django does not listen: by the ASGI protocol alone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.unit.aio import run, until
from waldur_chat.asgi.disconnect_listener import cancel_on_disconnect, is_listening

BODY = [{"type": "http.request", "body": b"a", "more_body": True}, {"type": "http.request", "body": b"b"}]
LEFT = {"type": "http.disconnect"}


class Client:
    """Sends its body; tells how the application that reads it ended."""

    def __init__(self, *, reads_on: bool = False, answers: bool = False) -> None:
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        for message in BODY:
            self.received.put_nowait(message)
        self.noted: list[Any] = []
        self.reads_on = reads_on
        self.answers = answers

    async def receive(self) -> Any:
        message = await self.received.get()
        if isinstance(message, Exception):
            raise message
        return message

    async def application(self, scope: Any, receive: Any, send: Any) -> None:
        body = [(await receive())["body"] for _ in BODY]
        self.noted += [b"".join(body), is_listening()]
        try:
            if self.reads_on:
                self.noted.append(await receive())
            if not self.answers:
                await asyncio.Event().wait()
        finally:
            self.noted.append("ended")

    async def begin(self) -> asyncio.Task[None]:
        """The request, once its body was read."""
        serving = asyncio.create_task(cancel_on_disconnect(self.application)({}, self.receive, None))  # type: ignore[arg-type]
        await until(lambda: self.noted)
        return serving


def test_who_leaves_ends_the_application_and_nobody_complains() -> None:
    async def main() -> list[Any]:
        client = Client()
        serving = await client.begin()
        client.received.put_nowait(LEFT)
        await serving
        return client.noted

    assert run(main()) == [b"ab", True, "ended"]


def test_who_stays_is_answered_and_nobody_listens_any_more() -> None:
    async def main() -> None:
        before = len(asyncio.all_tasks())
        await (await Client(answers=True).begin())
        assert len(asyncio.all_tasks()) == before

    run(main())
    assert not is_listening()


def test_an_application_that_reads_on_is_told_too() -> None:
    async def main() -> list[Any]:
        client = Client(reads_on=True, answers=True)
        serving = await client.begin()
        client.received.put_nowait(LEFT)
        await serving
        return client.noted

    assert run(main())[-1] == "ended"


def test_who_leaves_before_the_body_is_whole_is_the_application_s_affair() -> None:
    async def main() -> object:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            heard.append(await receive())

        async def receive() -> Any:
            return LEFT

        heard: list[object] = []
        await cancel_on_disconnect(application)({}, receive, None)
        return heard

    assert run(main()) == [LEFT]


def test_a_server_that_stops_is_heard() -> None:
    async def main() -> None:
        client = Client()
        serving = await client.begin()
        serving.cancel()
        await asyncio.wait([serving])
        assert serving.cancelled()
        assert client.noted[-1] == "ended"

    run(main())


def test_a_server_that_fails_to_listen_has_lost_the_client() -> None:
    async def main() -> list[Any]:
        client = Client()
        serving = await client.begin()
        client.received.put_nowait(OSError("lost"))
        await serving
        return client.noted

    assert run(main())[-1] == "ended"


def test_what_the_application_raises_is_raised() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(cancel_on_disconnect(application)({}, None, None))
