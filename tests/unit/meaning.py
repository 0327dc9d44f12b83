"""What the product makes of a response: a stream by way of the provider or of a turn, a refusal over a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

from tests.unit.aio import PROMPT, FakeLifecycle, closing, everything, settings_with
from tests.unit.reported import Case, Meaning
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.turn import Turn
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import ChatError, ProviderEmpty, ProviderError, ProviderRefusedQuestion
from waldur_chat.events import COMPLETE, FILTERED, Delta, Failed, Finished, Reasoning, Stopped, Usage
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.providers.transport.base import Transport


class Pieces:
    """A response whose body comes in these pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.has_ended = False

    async def read(self) -> bytes:
        piece = next(self._pieces, b"")
        self.has_ended = not piece
        return piece

    async def aclose(self) -> None:
        pass


class FakeTransport:
    """Answers each post by the same pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]

    async def post(self, body: Mapping[str, Any], prompt: Any) -> Pieces:
        return Pieces(self._pieces)

    async def aclose(self) -> None:
        pass


class OfflineProvider(OpenAIProvider):
    """The provider, above a fake transport."""

    def __init__(self, *, pieces: Sequence[bytes], **options: Any) -> None:
        super().__init__(base_url="http://service.test/v1", model="m", **options)
        self._pieces = pieces

    def _make_transport(self) -> Transport:
        return FakeTransport(self._pieces)


async def meaning_of(pieces: Sequence[bytes], **options: Any) -> Meaning:
    """What a stream means that comes in these pieces, to a provider with these options.

    What a turn adds is decided here as there, since thousands of turns would take too long: see `meaning_to_a_turn()`.
    """
    return await _said_by(OfflineProvider(pieces=pieces, **options))


async def meaning_to_a_turn(pieces: Sequence[bytes], **options: Any) -> Meaning:
    """What a turn makes of the same stream."""
    backend = f"{__name__}.{OfflineProvider.__name__}"
    options = {"pieces": pieces, **options}
    spec = ProviderSpec(name="default", backend=backend, options=options, place="a test")
    turn = Turn(settings_with(spec), PROMPT, FakeLifecycle())
    turn.start(asyncio.get_running_loop())
    *events, last = await everything(turn)
    text = "".join(event.text for event in events if isinstance(event, Delta))
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    assert isinstance(last, (Finished, Failed))
    stop, failure = (last.reason, None) if isinstance(last, Finished) else ("", last.error)
    return _meaning(text, reasoning, stop, failure, last.usage)


async def _said_by(provider: Provider) -> Meaning:
    """What a provider says to a prompt, and how it ends."""
    counter = UsageCounter(PROMPT)
    counter.start_attempt()
    text, reasoning, stop = "", "", ""
    failure: ProviderError | None = None
    try:
        async with aclosing(provider.stream(PROMPT)) as events:
            async for event in events:
                match event:
                    case Delta():
                        text, stop = text + event.text, ""
                        counter.add_output(event.text)
                    case Reasoning():
                        reasoning, stop = reasoning + event.text, ""
                        counter.add_output(event.text)
                    case Usage():
                        counter.report(event)
                    case Stopped():
                        stop = event.reason
    except ProviderError as error:
        failure = error
    if not failure and not text.strip():
        failure = ProviderRefusedQuestion() if stop == FILTERED else ProviderEmpty()
    return _meaning(text, reasoning, stop or COMPLETE, failure, counter.total(complete=failure is None))


def _meaning(text: str, reasoning: str, stop: str, failure: ChatError | None, usage: Usage | None) -> Meaning:
    return Meaning(
        text=text.strip(),
        reasoning=reasoning.strip(),
        stop="" if failure else stop,
        usage=(usage.input_tokens, usage.output_tokens) if usage and not usage.estimated else None,
        error=type(failure).__name__ if failure else "",
        context_tokens=getattr(failure, "context_tokens", None),
    )


async def meaning_of_response(case: Case) -> Meaning:
    """What a whole response means, received over a connection."""
    async with _serving(case) as address, closing(_provider(address, case)) as provider:
        return await _said_by(provider)


def _provider(address: str, case: Case) -> Provider:
    return OpenAIProvider(base_url=f"{address}/v1", api_key="k", model="m", **case.options)


@asynccontextmanager
async def _serving(case: Case) -> AsyncIterator[str]:
    """A server that gives this response to every request."""
    headers = {"Content-Type": "application/json", **case.headers, "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    response = f"HTTP/1.1 {case.status} Said\r\n{head}Content-Length: {len(case.body)}\r\n\r\n".encode() + case.body

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        length = request.lower().split(b"content-length: ")[1].split(b"\r\n")[0]
        await reader.readexactly(int(length))
        writer.write(response)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
