"""From a response to events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from tests.unit.aio import run
from tests.unit.bodies import Body, Response, streamed
from waldur_chat.errors import ProviderUnreachable
from waldur_chat.events import Delta, ProviderEvent, Stopped
from waldur_chat.providers.transport import streaming

TEXT = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
END = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


def test_a_body_is_read_piece_by_piece() -> None:
    async def main() -> list[ProviderEvent]:
        return [event async for event in streamed(Response(Body(TEXT, END).read()))]

    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def test_whatever_breaks_a_body_means_that_the_connection_broke() -> None:
    async def main() -> None:
        async for _ in streamed(Response(Body(TEXT, KeyError("secret")).read())):
            pass

    with pytest.raises(ProviderUnreachable, match=r"^The connection broke: KeyError\.$"):
        run(main())


def test_a_reader_that_leaves_closes_the_response() -> None:
    async def main() -> bool:
        response = Response(Body(TEXT, END).read())
        events = streamed(response)
        await anext(events)
        await events.aclose()
        return response.closed

    assert run(main())


@pytest.mark.parametrize("rest", [(), (b"\n",), (b"\n", b"\n"), (60.0,), (ConnectionResetError(),)])
def test_what_follows_the_end_troubles_nobody(
    rest: tuple[bytes | Exception | float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[ProviderEvent]:
        return [event async for event in streamed(Response(Body(TEXT, END, *rest).read()))]

    monkeypatch.setattr(streaming, "DRAIN_SECONDS", 0.01)
    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def test_what_follows_the_end_is_read_so_that_the_connection_can_be_used_again() -> None:
    async def main() -> bool:
        body = Body(TEXT, END, b"\n", b"\n")
        async for _ in streamed(Response(body.read())):
            pass
        return body.closed

    assert run(main())


def test_a_body_that_is_known_to_have_ended_is_not_read_on() -> None:
    async def main() -> bytes:
        response = Response(Body(TEXT, END, b"more").read())
        response.has_ended = True
        async for _ in streamed(response):
            pass
        return await response.read()

    assert run(main()) == b"more"


def test_a_reader_that_is_cancelled_while_the_rest_is_read_is_told_nothing_else() -> None:
    async def main() -> bool:
        response = Response(Body(TEXT + END, 60.0).read())

        async def read() -> None:
            async for _ in streamed(response):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(streaming.DRAIN_SECONDS / 2)
        reading.cancel()
        await asyncio.wait({reading})
        return reading.cancelled() and response.closed

    assert run(main())


def test_what_the_last_event_says_is_told_though_its_blank_line_is_missing() -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}'

    async def main() -> list[ProviderEvent]:
        return [event async for event in streamed(Response(body()))]

    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def streamed_until_it_breaks(*events: bytes) -> list[ProviderEvent]:
    async def body() -> AsyncGenerator[bytes, None]:
        for event in events:
            yield event
        raise ConnectionResetError

    async def main() -> list[ProviderEvent]:
        return [event async for event in streamed(Response(body()))]

    return run(main())


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    text, stop = b'data: {"choices": [{"delta": {"content": "a"}}]}', b'data: {"choices": [{"finish_reason": "stop"}]}'
    assert streamed_until_it_breaks(text, b"\n\n", stop, b"\n\n") == [Delta(text="a"), Stopped(reason="stop")]


def test_a_connection_that_breaks_before_the_finish_reason_is_a_failure() -> None:
    with pytest.raises(ProviderUnreachable) as broken:
        streamed_until_it_breaks(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
    assert isinstance(broken.value.__cause__, ConnectionResetError)
