"""Rounds with a model service: what it streams, and what it is sent back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from tests.unit.aio import PROMPT, FakeLifecycle, closing, everything, fake_service, run, settings_with
from tests.unit.rounds import FakeRunner
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.turn import Turn
from waldur_chat.events import Delta, Event, Finished, ProviderEvent, ToolAnswered, ToolCalled
from waldur_chat.messages import Message, Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.providers.openai import OpenAIProvider


class BriefProvider(Provider):
    """Asks the service, and keeps no connection to it."""

    supports_tools = True

    def __init__(self, **options: Any) -> None:
        self._options = options

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        """See Provider.stream()."""
        async with closing(OpenAIProvider(**self._options)) as provider, aclosing(provider.stream(prompt)) as events:
            async for event in events:
                yield event


async def told(question: str, runner: FakeRunner) -> tuple[list[Event], list[dict[str, Any]]]:
    """The events of a turn, and the bodies of the requests that the service got."""
    async with fake_service() as service:
        options = {"base_url": f"{service.address}/v1", "api_key": "k", "model": "m"}
        spec = ProviderSpec(name="default", backend=f"{__name__}.BriefProvider", options=options, place="a test")
        prompt = replace(PROMPT, messages=(Message(role="user", text=question),), tools=runner.specs)
        turn = Turn(settings_with(spec), prompt, FakeLifecycle(), runner)
        turn.start(asyncio.get_running_loop())
        return await everything(turn), [request["body"] for request in service.stats.requests]


def test_a_service_gets_its_calls_back_with_their_results() -> None:
    runner = FakeRunner()
    events, requests = run(told("fake:call=list&text=Done.", runner))
    assert [type(event) for event in events][1:] == [ToolCalled, ToolAnswered, Delta, Finished]
    asking, result = requests[-1]["messages"][-2:]
    (call,) = asking["tool_calls"]
    assert call["function"]["name"] == "list"
    assert result == {"role": "tool", "tool_call_id": call["id"], "content": "[1]"}
    assert all("tools" in request for request in requests)


def test_the_last_round_forbids_a_service_to_call() -> None:
    events, requests = run(told("fake:call=list&rounds=99&text=Done.", FakeRunner()))
    assert requests[-1]["tool_choice"] == "none"
    assert 1 < len(requests) < 10
    assert events
