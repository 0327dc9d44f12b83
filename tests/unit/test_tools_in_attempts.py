"""What a provider without tools is asked, and that nobody is warned of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from tests.unit.aio import PROMPT, FakeLifecycle, everything, run_ahead, settings_with
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ContextExceeded
from waldur_chat.events import Delta, Event, Finished, Started, Warned
from waldur_chat.messages import Call, Message, Prompt, ToolSpec
from waldur_chat.testing import Script, ScriptedProvider

CALLS = Message(role="assistant", text="", calls=(Call(id="call00001", name="list"),))
RESULT = Message(role="tool", text="[Alpha]", call_id="call00001")
ANSWER = Message(role="assistant", text="There is Alpha.")
NEXT = Message(role="user", text="And quotas?")
ASKED = replace(PROMPT, messages=(*PROMPT.messages, CALLS, RESULT, ANSWER, NEXT), tools=(ToolSpec(name="list"),))


class WithoutTools(ScriptedProvider):
    supports_tools = False


class Refusing(ScriptedProvider):
    """Finds the first prompt too long."""

    supports_tools = False

    async def stream(self, prompt: Prompt) -> Any:
        if not self._script.prompts:
            self._script.prompts.append(prompt)
            raise ContextExceeded
        async for event in super().stream(prompt):
            yield event


def said_by(spec: ProviderSpec, prompt: Prompt = ASKED) -> Any:
    async def main() -> list[Event]:
        turn = Turn(settings_with(spec), prompt, FakeLifecycle())
        turn.start(asyncio.get_running_loop())
        return await everything(turn)

    return main()


def spec_of(backend: type[ScriptedProvider], script: Script) -> ProviderSpec:
    path = f"{backend.__module__}.{backend.__qualname__}"
    return ProviderSpec(name="default", backend=path, options={"script": script}, place="a test")


def test_a_provider_with_tools_gets_the_prompt_as_it_is() -> None:
    script = Script(steps=["Hi"])
    run_ahead(said_by(spec_of(ScriptedProvider, script)))
    assert script.prompts == [ASKED]


def test_a_provider_without_tools_gets_results_as_text_and_nobody_is_warned() -> None:
    script = Script(steps=["Hi"])
    events = run_ahead(said_by(spec_of(WithoutTools, script)))
    assert script.prompts == [ASKED.without_calls()]
    assert [type(event) for event in events] == [Started, Delta, Finished]


def test_what_is_left_out_is_still_told() -> None:
    script = Script(steps=["Hi"])
    events = run_ahead(said_by(spec_of(Refusing, script)))
    first, second = script.prompts
    assert first == ASKED.without_calls()
    assert len(second.messages) < len(first.messages)
    assert [type(event) for event in events] == [Started, Warned, Delta, Finished]
