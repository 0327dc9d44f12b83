"""The tokens of an answer that is wanted whole gather until they are read, and its end is read at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from tests.unit.aio import PROMPT, answer, everything, run, settings_with, until
from tests.unit.bodies import Body, Response, relayed
from tests.unit.conftest import use_http_client
from tests.unit.test_costs import DONE, chunk
from tests.unit.test_openai_provider import asking
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.turn import Turn
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers import gathering
from waldur_chat.providers.base import Provider
from waldur_chat.providers.gathering import GATHER_SECONDS, MUCH, wants_whole
from waldur_chat.providers.openai_chunks import ChunkReader


class Patient(Response):
    """A response that notes after how many pieces it is to gather."""

    def __init__(self, *pieces: bytes) -> None:
        super().__init__(self._counted(Body(*pieces)))
        self.gathered: list[int] = []
        self._read = 0

    async def gather(self, seconds: float) -> None:
        assert seconds == GATHER_SECONDS
        self.gathered.append(self._read)

    async def _counted(self, body: Body) -> AsyncGenerator[bytes, None]:
        async for piece in body.read():
            self._read += 1
            yield piece


class Asking(Provider):
    """Says two words, and notes before each whether the answer is wanted whole."""

    found: list[bool] = []

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        for _ in range(2):
            self.found.append(wants_whole.get())
            yield Delta(text="word")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is too young."""
    monkeypatch.setattr(gathering, "AFTER_SECONDS", -1.0)


def gathered(*pieces: bytes, whole: bool = True) -> list[int]:
    """After how many pieces of an answer others were left to gather."""
    response = Patient(*pieces, DONE)

    async def main() -> None:
        wants_whole.set(whole)
        events = [event async for event in relayed(response)]
        assert len(events) == len(pieces)

    run(main())
    return response.gathered


def test_tokens_gather_before_they_are_read_where_the_whole_is_wanted(at_once: None) -> None:
    assert gathered(chunk("a"), chunk("b")) == [0, 1, 2]


def test_a_token_that_somebody_waits_for_is_read_as_it_comes(at_once: None) -> None:
    assert gathered(chunk("a"), chunk("b"), whole=False) == []


def test_a_young_answer_is_read_as_it_comes() -> None:
    assert gathered(chunk("a"), chunk("b")) == []


def test_an_answer_that_comes_fast_is_read_as_it_comes(at_once: None) -> None:
    assert gathered(chunk("a"), chunk("b" * MUCH), chunk("c")) == [0, 1]


def test_a_client_that_cannot_gather_reads_as_ever(at_once: None) -> None:
    async def main() -> int:
        wants_whole.set(True)
        return len([event async for event in relayed(Response(Body(chunk("a"), chunk("b"), DONE).read()))])

    assert run(main()) == 2


@pytest.mark.parametrize(("seconds", "most"), [(600.0, 3), (0.05, 25)])
def test_what_has_gathered_is_read_at_once_and_the_end_when_it_comes(
    at_once: None, seconds: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_http_client("aiohttp", monkeypatch)
    monkeypatch.setattr(gathering, "GATHER_SECONDS", seconds)
    found: list[int] = []
    feed = ChunkReader.feed

    def noted(self: ChunkReader, data: bytes) -> Any:
        found.append(len(data))
        return feed(self, data)

    monkeypatch.setattr(ChunkReader, "feed", noted)

    async def main() -> str:
        async with asking("tokens=20&delay=0.01") as (_, provider):
            await answer(provider)  # What comes after the first is asked of aiohttp itself.
            del found[:]
            wants_whole.set(True)
            events = await answer(provider)
        return "".join(event.text for event in events if isinstance(event, Delta))

    assert run(main()).split() == [f"w{number}" for number in range(20)]
    assert len(found) <= most


def test_who_leaves_while_tokens_gather_hangs_up(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    use_http_client("aiohttp", monkeypatch)
    monkeypatch.setattr(gathering, "GATHER_SECONDS", 600.0)

    async def main() -> None:
        async with asking("tokens=100000&delay=0.01") as (service, provider):
            async with aclosing(provider.stream(PROMPT)) as first:
                await anext(first)
            await until(lambda: not service.stats.open)
            wants_whole.set(True)
            reading = asyncio.create_task(answer(provider))
            await until(lambda: service.stats.open)
            await asyncio.sleep(0.1)
            reading.cancel()
            await until(lambda: not service.stats.open)

    run(main())


@pytest.mark.parametrize(
    ("wants_whole", "silence", "whole"), [(True, 30.0, True), (False, 30.0, False), (True, 0.5, False)]
)
def test_a_turn_says_what_its_reader_wants(wants_whole: bool, silence: float, whole: bool) -> None:
    Asking.found = []

    async def main() -> None:
        spec = ProviderSpec(name="default", backend=f"{__name__}.Asking", options={}, place="a test")
        turn = Turn(settings_with(spec, silence_seconds=silence), PROMPT)
        if wants_whole:
            turn.want_whole()
        turn.start(asyncio.get_running_loop())
        await everything(turn)

    run(main())
    assert Asking.found == [False, whole]
