"""What sites test with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.aio import PROMPT, answer, run
from waldur_chat import chat, conf
from waldur_chat.errors import ProviderBusy
from waldur_chat.events import CallRequested, Delta, Stopped, Usage
from waldur_chat.messages import Call, Message
from waldur_chat.testing import Calls, Script, ScriptedProvider, scripted

USAGE = Usage(input_tokens=7, output_tokens=5)


def test_a_script_is_followed() -> None:
    script = Script(steps=["a", 0, 0.001, USAGE, Stopped(reason="length")])
    assert run(answer(ScriptedProvider(script=script))) == [Delta(text="a"), USAGE, Stopped(reason="length")]


def test_an_exception_of_the_script_is_raised() -> None:
    with pytest.raises(ProviderBusy):
        run(answer(ScriptedProvider(script=Script(steps=[ProviderBusy()]))))


def test_prompts_are_kept_and_streams_counted() -> None:
    async def main() -> None:
        provider = ScriptedProvider(script=script)
        await answer(provider)
        left = provider.stream(PROMPT)
        await anext(left)
        assert (script.opened, script.closed) == (2, 1)
        await left.aclose()

    script = Script(steps=["a", "b"])
    run(main())
    assert (script.opened, script.closed) == (2, 2)
    assert script.prompts == [PROMPT, PROMPT]


def test_the_example_of_the_docstring_works() -> None:
    with scripted("Hello", " world") as provider:
        assert str(chat.invoke("Anybody there?")) == "Hello world"
    assert provider.prompts[0].question == "Anybody there?"
    assert provider.opened == provider.closed == 1


def test_a_script_lasts_as_long_as_its_context() -> None:
    before = conf.load()
    with scripted("a"):
        assert conf.load() != before
    assert conf.load() == before


def test_other_settings_stay(settings: pytest.FixtureRequest) -> None:
    settings.WALDUR_CHAT = {"SYSTEM_PROMPT": "Be kind."}  # type: ignore[attr-defined]
    with scripted("a") as provider:
        chat.invoke("Hi")
    assert [message.text for message in provider.prompts[0].messages] == ["Be kind.", "Hi"]


@pytest.mark.parametrize(("own", "stores"), [({}, False), ({"STORAGE": True}, True)])
def test_nothing_is_stored_unless_the_site_says_so(settings: Any, own: dict[str, bool], stores: bool) -> None:
    settings.WALDUR_CHAT = own
    with scripted("a"):
        assert conf.load().storage is stores


def test_one_script_after_another_is_not_mixed_up() -> None:
    answers = []
    for text in ("a", "b"):
        with scripted(text):
            answers.append(str(chat.invoke()))
    assert answers == ["a", "b"]


CALLED = Message(role="assistant", text="", calls=(Call(id="call00000", name="list"),))
SCRIPT = Script(steps=["Wait.", Calls(("list", {"page": 1}), ("count", {})), "One.", Calls(("list", {})), "Two."])


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        (0, ["Wait.", ("list", '{"page": 1}'), ("count", "{}")]),
        (1, ["One.", ("list", "{}")]),
        (2, ["Two."]),
        (3, ["Two."]),
    ],
)
def test_a_script_calls_tools_and_goes_on_with_their_results(rounds: int, said: list[Any]) -> None:
    prompt = replace(PROMPT, messages=PROMPT.messages + (CALLED,) * rounds)
    events: list[Any] = run(answer(ScriptedProvider(script=SCRIPT), prompt))
    assert [event.text if isinstance(event, Delta) else (event.name, event.arguments) for event in events] == said


def test_the_calls_of_a_script_have_ids_of_their_own() -> None:
    prompts = [PROMPT, replace(PROMPT, messages=(*PROMPT.messages, CALLED))]
    events = [event for prompt in prompts for event in run(answer(ScriptedProvider(script=SCRIPT), prompt))]
    assert len({event.id for event in events if isinstance(event, CallRequested)}) == 3


def test_calls_of_earlier_questions_do_not_count() -> None:
    prompt = replace(PROMPT, messages=(*PROMPT.messages, CALLED, Message(role="user", text="Again?")))
    assert run(answer(ScriptedProvider(script=SCRIPT), prompt))[0] == Delta(text="Wait.")
