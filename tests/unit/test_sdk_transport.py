"""The transport by the SDK: its HTTP client, its errors, and responses of httpx."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any

import openai
import pytest

from tests.unit.aio import PROMPT, answer_once, closing, fake_service, run, until
from tests.unit.bodies import Body, streamed
from tests.unit.conftest import use_transport
from waldur_chat.errors import ProviderBusy, ProviderEmpty, ProviderError, ProviderFailed, ProviderRefused
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport import httpcore_leaks, sdk, streaming
from waldur_chat.providers.transport.sdk import HttpxResponse, open_http_client, to_chat_error
from waldur_chat.runtime import shortcuts

TEXT = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'
END = b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


class Raw:
    """A response of httpx, as far as it is used."""

    def __init__(self, pieces: AsyncGenerator[bytes, None]) -> None:
        self._pieces = pieces
        self.is_closed = False

    def aiter_raw(self) -> AsyncGenerator[bytes, None]:
        return self._pieces

    async def aclose(self) -> None:
        self.is_closed = True


def test_a_reader_that_leaves_closes_body_and_response() -> None:
    async def main() -> tuple[bool, bool]:
        body = Body(TEXT, END)
        raw = Raw(body.read())
        events = streamed(HttpxResponse(raw))
        await anext(events)
        await events.aclose()
        return body.closed, raw.is_closed

    assert run(main()) == (True, True)


def test_a_body_that_cannot_be_closed_does_not_leave_its_response_open() -> None:
    async def stubborn() -> AsyncGenerator[bytes, None]:
        try:
            yield TEXT
        finally:
            raise ConnectionResetError

    async def main() -> bool:
        raw = Raw(stubborn())
        events = streamed(HttpxResponse(raw))
        await anext(events)
        with pytest.raises(ConnectionResetError):
            await events.aclose()
        return raw.is_closed

    assert run(main())


def test_a_reader_that_is_cancelled_while_a_body_is_being_closed_is_told_nothing_else() -> None:
    async def slow() -> AsyncGenerator[bytes, None]:
        try:
            yield TEXT + END
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.2)

    async def main() -> bool:
        raw = Raw(slow())

        async def read() -> None:
            async for _ in streamed(HttpxResponse(raw)):
                pass

        reading = asyncio.create_task(read())
        await asyncio.sleep(streaming.DRAIN_SECONDS + 0.1)
        reading.cancel()
        await asyncio.wait({reading})
        return reading.cancelled() and raw.is_closed

    assert run(main())


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_response_is_closed_to_the_end_by_a_task_that_is_cancelled(steps: int) -> None:
    async def main() -> None:
        async with fake_service() as service:
            client = open_http_client()
            body = {"model": "tokens=9&delay=60", "messages": [], "stream": True}
            request = client.build_request("POST", f"{service.address}/v1/chat/completions", json=body)
            response = HttpxResponse(await client.send(request, stream=True))
            await response.read()
            leaving = asyncio.create_task(response.aclose())
            for _ in range(steps):
                await asyncio.sleep(0)
            leaving.cancel()
            await until(lambda: not service.stats.open)
            await client.aclose()

    run(main())


def test_the_http_client_follows_no_redirect_and_has_no_time_limits_of_its_own() -> None:
    async def main() -> None:
        client = open_http_client()
        assert not client.follow_redirects
        assert client.timeout.as_dict() == {"connect": None, "read": None, "write": None, "pool": None}
        await client.aclose()

    run(main())


def test_without_shortcuts_the_http_client_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        installed: list[object] = []
        monkeypatch.setattr(httpcore_leaks, "install", installed.append)
        monkeypatch.setattr(shortcuts, "is_on", lambda name: False)
        await open_http_client().aclose()
        assert installed == []

    run(main())


def test_an_http_client_of_the_sites_own_is_used_and_what_it_lets_through_is_checked() -> None:
    async def main() -> list[type[ProviderError]]:
        async with fake_service() as service:
            found = []
            for model in ("status=204", "status=429"):
                client = {"http_client": openai.DefaultAsyncHttpxClient(headers={"X-Site": "ours"})}
                provider = OpenAIProvider(base_url=f"{service.address}/v1", model=model, client=client)
                with pytest.raises(ProviderError) as raised:
                    await answer_once(provider)
                found.append(type(raised.value))
                assert service.request["headers"]["x-site"] == "ours"
            return found

    assert run(main()) == [ProviderEmpty, ProviderBusy]


def test_other_services_learn_nothing_that_is_set_for_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    use_transport("sdk", monkeypatch)
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Own: secret")

    async def main() -> dict[str, Any]:
        async with fake_service() as service:
            await answer_once(LangServeProvider(url=f"{service.address}/langserve/stream?tokens=1"))
            return service.request

    request = run(main())
    assert "secret" not in str(request)
    assert not [name for name in request["headers"] if "stainless" in name]


def test_a_client_that_cannot_be_opened_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    use_transport("sdk", monkeypatch)
    opened = []

    def fail_once() -> Any:
        opened.append(1)
        if len(opened) == 1:
            raise ProviderFailed("once")
        return open_http_client()

    monkeypatch.setattr(sdk, "open_http_client", fail_once)

    async def main() -> None:
        async with fake_service() as service:
            provider = LangServeProvider(url=f"{service.address}/langserve/stream?tokens=1")
            async with closing(provider):
                with pytest.raises(ProviderFailed):
                    await anext(provider.stream(PROMPT))
                await anext(events := provider.stream(PROMPT))
                await events.aclose()

    run(main())


def errors_of_the_sdk(base: type[Exception] = openai.OpenAIError) -> list[type[Exception]]:
    return [base, *(one for direct in base.__subclasses__() for one in errors_of_the_sdk(direct))]


@pytest.mark.parametrize("kind", errors_of_the_sdk(), ids=lambda kind: str(kind.__name__))
def test_every_error_of_the_sdk_is_one_of_ours(kind: Any) -> None:
    error = kind.__new__(kind)
    if issubclass(kind, openai.APIStatusError):
        error.status_code, error.response = 418, type("Response", (), {"headers": {}})
    assert isinstance(to_chat_error(error), ProviderError)


def test_the_status_that_an_http_client_of_the_sites_own_lets_through_is_read_too() -> None:
    request = SimpleNamespace(method="POST", url="http://host")
    response = SimpleNamespace(status_code=429, headers={"retry-after": "7"}, request=request)
    error = to_chat_error(openai.RateLimitError("no", response=response, body=None))  # type: ignore[arg-type]
    assert (type(error), error.retry_after) == (ProviderBusy, 7)


def test_what_our_http_client_raised_is_found_below_the_error_of_an_older_sdk() -> None:
    refused = ProviderRefused("status 401", provider_status=401)
    with pytest.raises(openai.APIConnectionError) as raised:
        raise openai.APIConnectionError(request=SimpleNamespace()) from refused  # type: ignore[arg-type]
    assert to_chat_error(raised.value) is refused
