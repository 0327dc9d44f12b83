"""A model that calls tools, and tools that do what a test wants: for the rounds of a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.unit.aio import PROMPT, FakeLifecycle, everything, settings_with
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.rounds.runner import Round, RoundResult
from waldur_chat.engine.turn import Turn
from waldur_chat.events import CallRequested, Event, ProviderEvent, ToolAnswered, ToolCalled, ToolEvent
from waldur_chat.messages import Message, Prompt, ToolSpec
from waldur_chat.providers.base import Provider
from waldur_chat.testing import Script, ScriptedProvider, Step

LIST = ToolSpec(name="list", description="Lists.")


def call(number: int = 1, arguments: str = "{}", **fields: Any) -> CallRequested:
    """The call of that number of the tool."""
    return CallRequested(id=f"call{number:05}", name="list", arguments=arguments, **fields)


@dataclass(kw_only=True)
class Rounds:
    """What a model does in each round; the last of them again in all further ones."""

    scripts: Sequence[Script]
    prompts: list[Prompt] = field(default_factory=list)
    began: Callable[[], None] = lambda: None

    def next(self, prompt: Prompt) -> Script:
        """What it does now."""
        self.prompts.append(prompt)
        return self.scripts[min(len(self.prompts), len(self.scripts)) - 1]

    @property
    def is_closed(self) -> bool:
        """Whether every stream was closed."""
        return all(script.opened == script.closed for script in self.scripts)


class RoundsProvider(Provider):
    """Does what the rounds say."""

    supports_tools = True
    writes_titles = False

    def __init__(self, *, rounds: Rounds) -> None:
        self._rounds = rounds

    def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider.stream()."""
        return ScriptedProvider(script=self._rounds.next(prompt)).stream(prompt)


def rounds(*steps: Sequence[Step]) -> Rounds:
    """What a model does, round by round."""
    return Rounds(scripts=[Script(steps=one) for one in steps])


def spec_of(said: Rounds, name: str = "default") -> ProviderSpec:
    """The settings of its provider."""
    return ProviderSpec(name=name, backend=f"{__name__}.RoundsProvider", options={"rounds": said}, place="a test")


@dataclass(kw_only=True)
class FakeRunner:
    """Answers every call with a text, after having waited for something."""

    text: str = "[1]"
    specs: tuple[ToolSpec, ...] = (LIST,)
    ends_turn: bool = False
    decided: Sequence[Message] = ()
    asked: list[Round] = field(default_factory=list)
    before: Callable[[], Awaitable[Any]] | None = None
    answers: Callable[[CallRequested], bool] = lambda request: True

    @property
    def has_decided(self) -> bool:
        """See ToolRunner.has_decided."""
        return bool(self.decided)

    async def run_decided(self, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """See ToolRunner.run_decided()."""
        for one in self.decided:
            announce(ToolAnswered(call_uuid=one.call_id, tool="list", outcome="done", summary=one.text))
        return RoundResult(messages=tuple(self.decided), ends_turn=self.ends_turn)

    async def run(self, asked: Round, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """See ToolRunner.run()."""
        self.asked.append(asked)
        for one in asked.requests:
            announce(ToolCalled(call_uuid=one.id, tool=one.name, arguments={}))
        if self.before:
            await self.before()
        for one in asked.requests:
            announce(ToolAnswered(call_uuid=one.id, tool=one.name, outcome="done", summary=self.text))
        answered = [one for one in asked.requests if self.answers(one)]
        messages = tuple(Message(role="tool", text=self.text, call_id=one.id) for one in answered)
        return RoundResult(messages=messages, ends_turn=self.ends_turn)


def turn_with(
    said: Rounds, runner: FakeRunner, lifecycle: FakeLifecycle | None = None, *more: ProviderSpec, **settings: Any
) -> Turn:
    """A turn that has begun, whose model is offered the tools."""
    prompt = replace(PROMPT, tools=runner.specs)
    turn = Turn(settings_with(spec_of(said), *more, **settings), prompt, lifecycle or FakeLifecycle(), runner)
    turn.start(asyncio.get_running_loop())
    return turn


async def told(said: Rounds, runner: FakeRunner | None = None, **settings: Any) -> list[Event]:
    """All events of such a turn."""
    events = await everything(turn_with(said, runner or FakeRunner(), **settings))
    assert said.is_closed
    return events
