"""Providers are kept between turns, one of each on every loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

import pytest

from tests.unit.aio import run, scripted_spec, until
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine import provider_pool
from waldur_chat.engine.provider_pool import PooledProvider
from waldur_chat.errors import ChatNotConfigured
from waldur_chat.events import Delta, ProviderEvent
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.testing import Script


class Counting(Provider):
    """Counts how often it was made and closed."""

    made: ClassVar[list[Counting]] = []

    def __init__(self, *, key: str = "", closing_takes: asyncio.Event | None = None) -> None:
        self.closed = 0
        self.closing_takes = closing_takes
        self.made.append(self)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        return
        yield

    async def aclose(self) -> None:
        if self.closing_takes:
            await self.closing_takes.wait()
        self.closed += 1


@pytest.fixture(autouse=True)
def made() -> Iterator[list[Counting]]:
    Counting.made.clear()
    yield Counting.made
    assert [provider.closed for provider in Counting.made] == [1] * len(Counting.made)


def spec(name: str = "default", **options: object) -> ProviderSpec:
    return ProviderSpec(name=name, backend=f"{__name__}.Counting", options=options, place="a test")


@asynccontextmanager
async def lease(one: ProviderSpec) -> AsyncIterator[PooledProvider]:
    leased = await provider_pool.acquire(one)
    try:
        yield leased
    finally:
        await leased.release()


async def use(one: ProviderSpec) -> Provider:
    async with lease(one) as leased:
        return leased.provider


def test_a_provider_is_kept_between_turns() -> None:
    async def main() -> None:
        assert await use(spec(key="a")) is await use(spec(key="a"))

    run(main())


def test_turns_at_the_same_time_share_a_provider() -> None:
    async def main() -> None:
        async with lease(spec()) as one, lease(spec()) as other:
            assert one is other

    run(main())


def test_providers_of_other_names_are_others() -> None:
    async def main() -> None:
        assert await use(spec("a")) is not await use(spec("b"))

    run(main())


def test_other_loops_have_other_providers(made: list[Counting]) -> None:
    run(use(spec()))
    run(use(spec()))
    assert len(made) == 2


def test_new_settings_make_a_new_provider_and_close_the_old_one(made: list[Counting]) -> None:
    async def main() -> None:
        await use(spec(key="old"))
        await use(spec(key="new"))
        assert [provider.closed for provider in made] == [1, 0]

    run(main())


def test_an_old_provider_is_closed_when_its_last_turn_ends(made: list[Counting]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as turns:
            async with lease(spec(key="old")):
                await turns.enter_async_context(lease(spec(key="old")))
                await use(spec(key="new"))
            assert made[0].closed == 0
        assert [provider.closed for provider in made] == [1, 0]

    run(main())


def test_settings_that_change_twice_do_not_close_what_is_about_to_be_used(made: list[Counting]) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        await use(spec(key="first", closing_takes=gate))
        second = asyncio.create_task(use_and_look(spec(key="second")))
        await until(lambda: len(made) == 2)
        await use(spec(key="third"))
        gate.set()
        assert await second == 0

    async def use_and_look(one: ProviderSpec) -> int:
        async with lease(one) as leased:
            assert isinstance(leased.provider, Counting)
            return leased.provider.closed

    run(main())


def test_a_turn_that_is_cancelled_while_it_closes_an_old_provider_gives_its_own_back(made: list[Counting]) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        await use(spec(key="old", closing_takes=gate))
        cancelled = asyncio.create_task(use(spec(key="new")))
        await until(lambda: len(made) == 2)
        cancelled.cancel()
        await asyncio.wait({cancelled})
        await use(spec(key="newest"))
        assert [provider.closed for provider in made] == [0, 1, 0]
        gate.set()
        await made[0].aclose()  # Its closing was cut short.

    run(main())


def test_a_turn_that_fails_gives_its_provider_back() -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with lease(spec(key="old")):
                raise ZeroDivisionError
        await use(spec(key="new"))

    run(main())


def test_settings_that_cannot_work_are_told() -> None:
    with pytest.raises(ChatNotConfigured, match="kye"):
        run(use(spec(kye="a")))


def test_nothing_of_a_loop_stays_when_it_is_over() -> None:
    for _ in range(3):
        asyncio.run(_ask_once())
    assert not [loop for loop in provider_pool._pools if loop.is_closed()]


def test_a_loop_that_was_closed_in_haste_is_forgotten_later() -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(_ask_once())
    closer = provider_pool._pools[loop]._closer
    loop.close()
    closer._log_destroy_pending = False
    del closer
    asyncio.run(_ask_once())
    assert loop not in provider_pool._pools


def test_a_provider_that_cannot_be_closed_does_not_spoil_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        entry = {"name": "default", "place": "here"}
        async with lease(ProviderSpec(backend=f"{__name__}.Unclosable", options={}, **entry)):
            pass
        async with lease(scripted_spec(Script(steps=["Hello"]))) as leased:
            assert leased.provider

    asyncio.run(main())
    assert "could not be closed: OSError" in caplog.text


async def _ask_once() -> None:
    async with lease(scripted_spec(Script(steps=["Hello"]))):
        pass


class Unclosable(Provider):
    """Fails when it is closed."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        yield Delta(text="Hello")

    async def aclose(self) -> None:
        raise OSError("secret")
