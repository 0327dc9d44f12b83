"""What asynchronous unit tests share: coroutines without a plugin, and the fake service on the test's own loop."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

from tests.fake.service import Service, Stats
from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.lifecycle import Lifecycle
from waldur_chat.engine.turn import Turn
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import MOST_TOKENS, Cancelled, Event, Failed, Finished, ProviderEvent, StoredMessages, Terminal
from waldur_chat.messages import Message, Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.record import Caller, TurnRecord
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.testing import Script
from waldur_chat.turns.allowance import OutputAllowance
from waldur_chat.turns.lifecycle import TurnLifecycle

T = TypeVar("T")

PROMPT = Prompt(messages=(Message(role="system", text="Be kind."), Message(role="user", text="What is a VPC?")))


def run(coroutine: Coroutine[Any, Any, T], seconds: float = 30) -> T:
    """Run a test's coroutine on a new loop; a test that hangs fails."""

    async def bounded() -> T:
        return await asyncio.wait_for(coroutine, seconds)

    return asyncio.run(bounded())


def run_ahead(coroutine: Coroutine[Any, Any, T], seconds: float = 3600) -> T:
    """The same on a loop whose time goes ahead to whatever is waited for, once nothing else is left to do.

    So no second passes, and none is lost to a busy machine: `asyncio.sleep(0.01)` lets everybody else come to rest. For
    coroutines that wait for neither sockets nor other threads.
    """
    loop = LoopAhead()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(asyncio.wait_for(coroutine, seconds))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


class _SelectorAhead(selectors.DefaultSelector):
    """Where there is nothing to do before some time, it is that time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(timeout and 0)
        if timeout and not found:
            self.now += timeout
        return found


class LoopAhead(asyncio.SelectorEventLoop):
    """See run_ahead()."""

    def __init__(self) -> None:
        self._ahead = _SelectorAhead()
        super().__init__(self._ahead)

    def time(self) -> float:
        return self._ahead.now


@dataclass(kw_only=True)
class FakeService:
    """The fake service, and the address it listens on."""

    port: int
    stats: Stats

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def request(self) -> dict[str, Any]:
        """The last request."""
        return self.stats.requests[-1]


@asynccontextmanager
async def fake_service() -> AsyncIterator[FakeService]:
    """Serve on the running loop. Leaving waits until every connection was closed by the one that opened it."""
    service = Service()
    server = await service.listen("127.0.0.1")
    try:
        yield FakeService(port=server.sockets[0].getsockname()[1], stats=service.stats)
        await until(lambda: not service.stats.open)
    finally:
        server.close()


async def until(condition: Any) -> None:
    """Wait for a condition; run() bounds the wait."""
    while not condition():  # noqa: ASYNC110  (what is waited for has no event)
        await asyncio.sleep(0.005)


async def answer(provider: Provider, prompt: Prompt = PROMPT) -> list[ProviderEvent]:
    """All that a provider says to a prompt."""
    async with aclosing(provider.stream(prompt)) as events:
        return [event async for event in events]


@asynccontextmanager
async def closing(provider: Provider) -> AsyncIterator[Provider]:
    """Close the provider at the end, as the pool does."""
    try:
        yield provider
    finally:
        await provider.aclose()


async def answer_once(provider: Provider, prompt: Prompt = PROMPT) -> list[ProviderEvent]:
    """See answer(); for a provider that nobody asks again."""
    async with closing(provider):
        return await answer(provider, prompt)


def scripted_spec(script: Script, name: str = "default") -> ProviderSpec:
    """The settings of a provider that follows the script."""
    return ProviderSpec(
        name=name, backend="waldur_chat.testing.ScriptedProvider", options={"script": script}, place="a test"
    )


def begin(script: Script, **settings: Any) -> Turn:
    """A turn that has begun on the running loop; it asks once."""
    return begin_with(scripted_spec(script), **settings)


def begin_with(*chain: ProviderSpec, **settings: Any) -> Turn:
    """See begin(); the first of these providers is asked, and each other one when the one before it fails."""
    turn = unrecorded(settings_with(*chain, **settings))
    turn.start(asyncio.get_running_loop())
    return turn


def turn_of(script: Script, lifecycle: Lifecycle | None = None) -> Turn:
    """A turn that has not begun."""
    settings = settings_with(scripted_spec(script))
    return Turn(settings, PROMPT, lifecycle) if lifecycle else unrecorded(settings)


def unrecorded(settings: Settings, caller: Caller | None = None) -> Turn:
    """A turn that leaves nothing behind."""
    return Turn(settings, PROMPT, TurnLifecycle(settings, caller or Caller(), StartedTurn(turn="", messages=())))


class FakeLifecycle:
    """Records a turn in lists."""

    is_recorded = True

    def __init__(self, *, takes: float = 0, reserved: int | None = None, room: int = MOST_TOKENS) -> None:
        self.record = TurnRecord(turn="1" * 32, thread="7" * 32, request_id="", user_id="")
        self.allowance: OutputAllowance | None = None
        self._reserved = reserved
        self._room = room
        self.told: list[str] = []
        self.kept: list[tuple[str, Terminal]] = []
        self._takes = takes

    def begin(self, log: EventLog, counter: UsageCounter) -> None:
        self.told.append("begin")
        self._log = log
        if self._reserved is not None:
            self.allowance = OutputAllowance(
                counter,
                self._refuse,
                reserved=self._reserved,
                input_tokens=0,
                bytes_per_token=4,
                most=None,
                room=self._room,
            )

    def _refuse(self) -> None:
        assert self.allowance
        assert self._reserved is not None
        self.allowance.grant(self._reserved, is_last=True)

    @asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        yield

    def answer_started(self) -> None:
        self.told.append("answer")

    async def finish(self, terminal: Terminal) -> StoredMessages | None:
        self.told.append("finish")
        await asyncio.sleep(self._takes)
        self.kept.append((self._log.text.since(0), terminal))
        return StoredMessages(question="2" * 32, answer="3" * 32)

    def report(self, terminal: Terminal) -> None:
        self.told.append("report")


def settings_with(*chain: ProviderSpec, **settings: Any) -> Settings:
    """Settings with one attempt, unless they say otherwise, and a chain of providers."""
    specs = [*(replace(one, fallback=other.name) for one, other in pairwise(chain)), chain[-1]]
    providers = {"default": specs[0], **{one.name: one for one in specs[1:]}}
    return Settings(**{"attempts": 1, **settings}, providers=providers)


async def everything(turn: Turn) -> list[Event]:
    """All events of a turn."""
    events: list[Event] = []
    while not (events and isinstance(events[-1], (Finished, Failed, Cancelled))):
        events += await turn.take()
    return events
