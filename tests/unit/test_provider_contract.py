"""What every provider that speaks HTTP does, by each transport that it may take."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.processes import free_port
from tests.unit.aio import PROMPT, FakeService, answer, answer_once, closing, fake_service, run, until
from tests.unit.conftest import use_transport
from waldur_chat.errors import (
    ProviderBusy,
    ProviderConnectTooSlow,
    ProviderEmpty,
    ProviderError,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderTooSlow,
    ProviderUnreachable,
)
from waldur_chat.events import CallRequested, Delta, Usage
from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.providers.base import Provider
from waldur_chat.providers.langserve import LangServeProvider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport.aiohttp_transport import AiohttpTransport
from waldur_chat.providers.transport.base import Transport
from waldur_chat.providers.transport.sdk import HttpClientTransport, SdkTransport

SECRET = "very-secret"
MAKERS: dict[str, Callable[[str, str], Provider]] = {
    "openai": lambda address, behaviour: OpenAIProvider(base_url=f"{address}/v1", api_key=SECRET, model=behaviour),
    "openai, with options of the client": lambda address, behaviour: OpenAIProvider(
        base_url=f"{address}/v1", api_key=SECRET, model=behaviour, client={"default_headers": {"X-Site": "ours"}}
    ),
    "azure": lambda address, behaviour: OpenAIProvider(
        api_key=SECRET, model=behaviour, client={"azure_endpoint": address, "api_version": "2024-10-21"}
    ),
    "langserve": lambda address, behaviour: LangServeProvider(
        url=f"{address}/langserve/stream?{behaviour}", token=SECRET
    ),
}
KINDS = [
    ("openai", "aiohttp"),
    ("openai", "sdk"),
    ("openai, with options of the client", "sdk"),
    ("azure", "sdk"),
    ("langserve", "aiohttp"),
    ("langserve", "sdk"),
]
"""Each provider, and the transport that it takes."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Makes providers of one kind, by what they are to find at the service's address."""

    name: str
    transport: str

    def make(self, address: str, behaviour: str = "tokens=2") -> Provider:
        provider = MAKERS[self.name](address, behaviour)
        chosen = provider.transport_choice()
        assert chosen
        assert chosen.name == self.transport
        return provider

    @asynccontextmanager
    async def asking(self, behaviour: str = "tokens=2") -> AsyncIterator[tuple[FakeService, Provider]]:
        async with fake_service() as service, closing(self.make(service.address, behaviour)) as provider:
            yield service, provider


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind[0]} by {kind[1]}")
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    name, transport = request.param
    return Kind(name=name, transport=use_transport(transport, monkeypatch))


def text_and_usage(events: list[Any]) -> list[Any]:
    return [event for event in events if isinstance(event, (Delta, Usage))]


ANSWER = [Delta(text="w0 "), Delta(text="w1 "), Usage(input_tokens=7, output_tokens=2)]


def test_an_answer_becomes_events(kind: Kind) -> None:
    async def main() -> list[Any]:
        async with kind.asking() as (_, provider):
            return await answer(provider)

    assert text_and_usage(run(main())) == ANSWER


CALLS = Message(role="assistant", text="", calls=(Call(id="call00001", name="list"),))
RESULT = Message(role="tool", text="[Alpha]", call_id="call00001")
ROUND = replace(PROMPT, messages=(*PROMPT.messages, CALLS, RESULT), tools=(ToolSpec(name="list"),))


def test_tools_are_called_where_they_are_supported(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("call=list&tokens=2") as (_, provider):
            events = await answer(provider, replace(PROMPT, tools=ROUND.tools) if provider.supports_tools else PROMPT)
            calls = [event.name for event in events if isinstance(event, CallRequested)]
            assert calls == (["list"] if provider.supports_tools else [])

    run(main())


def test_results_of_tools_reach_the_service(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking() as (service, provider):
            prompt = ROUND if provider.supports_tools else ROUND.without_calls()
            assert text_and_usage(await answer(provider, prompt)) == ANSWER
            assert "[Alpha]" in str(service.request["body"])

    run(main())


def test_the_body_may_not_be_compressed_since_that_holds_events_back(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking() as (service, provider):
            await answer(provider)
            assert service.request["headers"]["accept-encoding"] == "identity"
            assert service.request["headers"]["content-type"] == "application/json"
            assert not [name for name in service.request["headers"] if "stainless" in name]

    run(main())


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("end=none&usage=none", ProviderIncomplete),
        ("html=1", ProviderIncomplete),
        ("cut=2", ProviderUnreachable),
        ("at=-1&then=reset", ProviderUnreachable),
        ("cut=0", ProviderUnreachable),
        ("fault=2", ProviderFailed),
        ("status=204", ProviderEmpty),
        ("status=302", ProviderRefused),
        ("status=401", ProviderRefused),
        ("status=404", ProviderRefused),
        ("status=408", ProviderTooSlow),
        ("status=429", ProviderBusy),
        ("status=500", ProviderFailed),
        ("status=503", ProviderBusy),
        ("status=504", ProviderTooSlow),
    ],
)
def test_every_fault_has_its_error(kind: Kind, behaviour: str, error: type[ProviderError]) -> None:
    async def main() -> None:
        async with kind.asking(behaviour) as (_, provider):
            with pytest.raises(ProviderError) as raised:
                await answer(provider)
            assert type(raised.value) is error

    run(main())


@pytest.mark.parametrize("status", [302, 307, 429, 500, 503])
def test_nothing_is_asked_twice_and_no_redirect_is_followed(kind: Kind, status: int) -> None:
    async def main() -> int:
        async with kind.asking(f"status={status}&location=/langserve/stream") as (service, provider):
            with pytest.raises(ProviderError):
                await answer(provider)
            return len(service.stats.requests)

    assert run(main()) == 1


def test_the_time_to_come_back_is_told(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("status=429&retry_after=7") as (_, provider):
            await answer(provider)

    with pytest.raises(ProviderBusy) as raised:
        run(main())
    assert raised.value.retry_after == 7


def test_an_endless_body_of_a_refusal_is_left(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("status=500&body=endless") as (service, provider):
            with pytest.raises(ProviderFailed):
                await answer(provider)
            await until(lambda: not service.stats.answering)

    run(main())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_port_where_nobody_listens_is_unreachable(kind: Kind, scheme: str) -> None:
    with pytest.raises(ProviderUnreachable):
        run(answer_once(kind.make(f"{scheme}://127.0.0.1:{free_port()}")))


def test_a_port_that_does_not_speak_tls_is_unreachable(kind: Kind) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1") as server:
            await answer_once(kind.make(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"))

    with pytest.raises(ProviderUnreachable):
        run(main())


def test_a_port_that_does_not_even_shake_hands_takes_too_long_to_connect(kind: Kind) -> None:
    async def main() -> None:
        async with fake_service() as service:
            provider = kind.make(service.address.replace("http:", "https:"))
            await answer_once(provider, replace(PROMPT, connect_seconds=0.1))

    with pytest.raises(ProviderConnectTooSlow):
        run(main())


def test_the_id_of_the_request_is_passed_on(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("tokens=1") as (service, provider):
            await answer(provider, replace(PROMPT, request_id="r-1"))
            assert service.request["headers"]["x-request-id"] == "r-1"
            await answer(provider)
            assert "x-request-id" not in service.request["headers"]

    run(main())


@pytest.mark.parametrize("behaviour", ["tokens=9&delay=60", "head=60", "first=60"])
def test_hanging_up_reaches_the_service(kind: Kind, behaviour: str) -> None:
    async def main() -> None:
        async with kind.asking(behaviour) as (service, provider):
            task = asyncio.create_task(answer(provider))
            await until(lambda: service.stats.answering)
            await asyncio.sleep(0.05)
            task.cancel()
            await until(lambda: service.stats.left)
            assert service.stats.answers == 0

    run(main())


def test_closing_the_stream_hangs_up_though_the_provider_stays(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("tokens=9&delay=60") as (service, provider):
            events = provider.stream(PROMPT)
            assert await anext(events) == Delta(text="w0 ")
            await events.aclose()
            await until(lambda: service.stats.left)

    run(main())


@pytest.mark.parametrize("steps", range(0, 40, 3))
def test_a_turn_that_is_cancelled_at_any_moment_leaves_no_connection(kind: Kind, steps: int) -> None:
    async def main() -> None:
        async with kind.asking("tokens=9&delay=60") as (service, provider):
            async with aclosing(provider.stream(PROMPT)) as events:
                await anext(events)  # What is imported and opened once is there by now.
            await until(lambda: not service.stats.open)
            task = asyncio.create_task(answer(provider))
            for _ in range(steps):
                await asyncio.sleep(0)
            while not task.done():  # Below the SDK's HTTP client, Python 3.10 may lose a cancellation.
                task.cancel()
                await asyncio.wait({task}, timeout=1)
            await until(lambda: not service.stats.open)

    run(main())


def test_a_connection_is_used_again(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking() as (service, provider):
            for _ in range(3):
                await answer(provider)
            assert service.stats.opened == 1

    run(main())


def test_many_turns_at_once_share_what_is_opened(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking("tokens=2&delay=0.01") as (service, provider):
            for events in await asyncio.gather(*(answer(provider) for _ in range(120))):
                assert text_and_usage(events) == ANSWER
            assert service.stats.answers == 120

    run(main())


@pytest.mark.parametrize("behaviour", ["tokens=2", "status=401", "status=429", "cut=1", "usage=refuse"])
@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
def test_the_log_knows_no_address_secret_or_prompt(
    kind: Kind, behaviour: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int:
        async with kind.asking(behaviour) as (service, provider):
            try:
                await answer(provider)
            except ProviderError as error:
                logging.getLogger("test").info("%s", error)
            return service.port

    caplog.set_level(level)
    port = run(main())
    assert not [secret for secret in (str(port), SECRET, "VPC", "Be kind") if secret in caplog.text]


def test_a_prompt_that_no_request_can_hold_is_an_error_of_ours(kind: Kind) -> None:
    async def main() -> None:
        async with kind.asking() as (_, provider):
            await answer(provider, Prompt(messages=(Message(role="user", text="\ud800"),)))

    with pytest.raises(ProviderError):
        run(main())


@pytest.mark.parametrize(
    "transport", [AiohttpTransport("http://a", {}), SdkTransport("/b", {}), HttpClientTransport("http://a", {})]
)
def test_a_transport_that_posted_nothing_has_nothing_to_close(transport: Transport) -> None:
    run(transport.aclose())


def test_the_providers_repr_knows_nothing(kind: Kind) -> None:
    assert repr(kind.make("http://internal")) in ("<OpenAIProvider>", "<LangServeProvider>")


def test_a_provider_that_was_never_asked_has_nothing_to_close(kind: Kind) -> None:
    run(kind.make("http://internal").aclose())
