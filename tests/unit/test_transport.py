"""The HTTP client that providers share."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import logging
from collections.abc import AsyncGenerator, Mapping
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.unit.aio import run
from tests.unit.bodies import Body, Response, relayed
from waldur_chat.errors import (
    ProviderBusy,
    ProviderError,
    ProviderFailed,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)
from waldur_chat.events import Delta, ProviderEvent, Stopped
from waldur_chat.providers import transport

TEXT = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
END = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, ProviderRefused),
        (301, ProviderRefused),
        (400, ProviderRefused),
        (401, ProviderRefused),
        (404, ProviderRefused),
        (408, ProviderTooSlow),
        (429, ProviderBusy),
        (500, ProviderFailed),
        (502, ProviderFailed),
        (503, ProviderBusy),
        (504, ProviderTooSlow),
        (529, ProviderBusy),
    ],
)
def test_each_status_has_its_error(status: int, error: type[ProviderError]) -> None:
    refusal = transport.refusal(status, {})
    assert type(refusal) is error
    assert str(refusal) == f"The provider answered with status {status}."


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 30}, 3600),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "7.5"}, None),
        ({"retry-after": "\u0667"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_the_time_to_come_back_is_a_number_of_seconds(headers: Mapping[str, str], seconds: int | None) -> None:
    assert transport.refusal(429, headers).retry_after == seconds


def test_a_body_is_read_piece_by_piece() -> None:
    async def main() -> list[ProviderEvent]:
        return [event async for event in relayed(Response(Body(TEXT, END).read()))]

    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def test_whatever_breaks_a_body_means_that_the_connection_broke() -> None:
    async def main() -> None:
        async for _ in relayed(Response(Body(TEXT, KeyError("secret")).read())):
            pass

    with pytest.raises(ProviderUnreachable, match=r"^The connection broke: KeyError\.$"):
        run(main())


def test_who_stops_reading_closes_body_and_response() -> None:
    async def main() -> tuple[bool, bool]:
        body = Body(TEXT, END)
        response = Response(body.read())
        events = relayed(response)
        await anext(events)
        await events.aclose()
        return body.closed, response.closed

    assert run(main()) == (True, True)


def test_a_body_that_cannot_be_closed_does_not_leave_its_response_open() -> None:
    async def stubborn() -> AsyncGenerator[bytes, None]:
        try:
            yield TEXT
        finally:
            raise ConnectionResetError

    async def main() -> bool:
        response = Response(stubborn())
        events = relayed(response)
        await anext(events)
        with pytest.raises(ConnectionResetError):
            await events.aclose()
        return response.closed

    assert run(main())


def test_who_is_cancelled_while_a_body_is_being_closed_is_told_nothing_else() -> None:
    async def slow() -> AsyncGenerator[bytes, None]:
        try:
            yield TEXT + END
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)

    async def main() -> bool:
        response = Response(slow())

        async def read() -> None:
            async for _ in relayed(response):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(transport.DRAIN_SECONDS + 0.1)
        reading.cancel()
        await asyncio.wait({reading})
        return reading.cancelled() and response.closed

    assert run(main())


@pytest.mark.parametrize("rest", [(), (b"\n",), (60.0,), (ConnectionResetError(),)])
def test_what_follows_the_end_troubles_nobody(
    rest: tuple[bytes | Exception | float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> list[ProviderEvent]:
        return [event async for event in relayed(Response(Body(TEXT, END, *rest).read()))]

    monkeypatch.setattr(transport, "DRAIN_SECONDS", 0.01)
    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def test_a_body_that_is_known_to_have_ended_is_not_read_on() -> None:
    class Ended(Response):
        has_ended = True

    async def main() -> bool:
        body = Body(TEXT, END, b"more", b"and more")
        read = body.read()
        async for _ in relayed(Ended(read)):
            pass
        return body.closed

    assert run(main())


@pytest.mark.parametrize("name", ["httpx", "httpx2", "openai._base_client", "httpcore.http11", "httpcore2.connection"])
def test_the_clients_records_of_a_turn_are_kept_out_of_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    contextvars.copy_context().run(log_quietly, name)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def log_quietly(name: str) -> None:
    transport.be_quiet()
    logging.getLogger(name).debug("the prompt")
    logging.getLogger(name).info("the address")
    logging.getLogger(name).warning("trouble")


def test_the_hosts_own_use_of_the_client_is_logged_as_ever(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    contextvars.copy_context().run(transport.be_quiet)
    contextvars.Context().run(logging.getLogger("httpx").info, "HTTP Request: GET")
    assert caplog.messages == ["HTTP Request: GET"]


def test_being_quiet_twice_adds_nothing() -> None:
    contextvars.copy_context().run(transport.be_quiet)
    before = list(logging.getLogger("httpx").filters)
    contextvars.copy_context().run(transport.be_quiet)
    assert logging.getLogger("httpx").filters == before


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip", "IDENTITY, zstd"])
def test_a_compressed_answer_is_not_read(encoding: str) -> None:
    response = SimpleNamespace(status_code=200, headers={"content-encoding": encoding})
    with pytest.raises(ProviderFailed, match="compressed"):
        run(transport._check_response(response))


@pytest.mark.parametrize("encoding", ["", "identity", " Identity"])
def test_a_plain_answer_is_read(encoding: str) -> None:
    run(transport._check_response(SimpleNamespace(status_code=200, headers={"content-encoding": encoding})))


@pytest.mark.usefixtures("http_client")
def test_the_client_follows_no_redirect_and_has_no_time_limits_of_its_own() -> None:
    async def main() -> None:
        client = transport.open_client()
        assert not client.follow_redirects
        assert client.timeout.as_dict() == {"connect": None, "read": None, "write": None, "pool": None}
        await client.aclose()

    run(main())


@pytest.mark.parametrize(
    "address",
    [
        "http://host/v1\n",
        " http://host",
        "http://[::1]x/",
        "http://host:99999",
        "http://host\x01",
        "http://h\u00f6st",
        "http://",
        5,
    ],
)
def test_what_is_no_address_is_refused(address: object) -> None:
    with pytest.raises(ImproperlyConfigured, match="base_url"):
        transport.check_address("base_url", address)


@pytest.mark.parametrize(
    "address", ["http://host:8000/v1", "https://[::1]:8000", "http://a_b.example/x?y=z", "http://u:p@h"]
)
def test_what_is_an_address_is_taken(address: str) -> None:
    transport.check_address("base_url", address)


def test_what_the_last_event_says_is_relayed_though_its_blank_line_is_missing() -> None:
    async def body() -> AsyncGenerator[bytes, None]:
        yield b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}'

    async def main() -> list[ProviderEvent]:
        return [event async for event in relayed(Response(body()))]

    assert run(main()) == [Delta(text="a"), Stopped(reason="stop")]


def relayed_until_it_breaks(*events: bytes) -> list[ProviderEvent]:
    async def body() -> AsyncGenerator[bytes, None]:
        for event in events:
            yield event
        raise ConnectionResetError

    async def main() -> list[ProviderEvent]:
        return [event async for event in relayed(Response(body()))]

    return run(main())


def test_a_connection_that_breaks_after_the_finish_reason_does_no_harm() -> None:
    text, stop = b'data: {"choices": [{"delta": {"content": "a"}}]}', b'data: {"choices": [{"finish_reason": "stop"}]}'
    assert relayed_until_it_breaks(text, b"\n\n", stop, b"\n\n") == [Delta(text="a"), Stopped(reason="stop")]


def test_a_connection_that_breaks_before_the_finish_reason_is_a_failure() -> None:
    with pytest.raises(ProviderUnreachable) as broken:
        relayed_until_it_breaks(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n')
    assert isinstance(broken.value.__cause__, ConnectionResetError)


def test_what_the_sdk_brings_is_spared_the_garbage_collector_once() -> None:
    async def frozen() -> int:
        gc.unfreeze()
        client = await asyncio.to_thread(transport.open_client)
        await client.aclose()
        return gc.get_freeze_count()

    transport._spare_collector.cache_clear()
    try:
        assert run(frozen()) > 0
        assert run(frozen()) == 0
    finally:
        gc.unfreeze()
