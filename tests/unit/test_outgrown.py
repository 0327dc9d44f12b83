"""A conversation that a model cannot take in any more is asked about once more, with less of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from tests.unit.aio import everything, run_ahead, settings_with
from tests.unit.test_shorter_prompts import prompt_of, texts
from waldur_chat.conf import ProviderSpec
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ContextExceeded, ProviderBusy
from waldur_chat.events import HISTORY_SHORTENED, Delta, Event, Failed, Finished, ProviderEvent, Started, Usage, Warned
from waldur_chat.messages import Prompt
from waldur_chat.providers.base import Provider
from waldur_chat.record import Caller
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.text_size import total_size
from waldur_chat.turns.lifecycle import TurnLifecycle

WARNED = Warned(text=HISTORY_SHORTENED)
LONG = prompt_of(*["x" * 1000] * 20, "What now?")
SHORT = prompt_of("Hi", "Hello", "What now?")


class Narrow(Provider):
    """Refuses what has more than `takes` bytes, after the `faults`; keeps what it was asked in `asked`."""

    model = "narrow"

    def __init__(
        self,
        *,
        takes: int,
        asked: list[Prompt],
        names: int | None = None,
        context_tokens: int | None = None,
        faults: Sequence[Exception] = (),
    ) -> None:
        self.context_tokens = context_tokens
        self._takes, self._asked, self._names, self._faults = takes, asked, names, [*faults]

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        self._asked.append(prompt)
        if total_size(prompt.messages) > self._takes:
            raise ContextExceeded(context_tokens=self._names)
        if self._faults:
            raise self._faults.pop()
        yield Delta(text="Hello")


def narrow(takes: int, name: str = "default", **options: Any) -> tuple[ProviderSpec, list[Prompt]]:
    """A provider that takes so many bytes, and what it will be asked."""
    options = {"takes": takes, "asked": [], **options}
    return ProviderSpec(name=name, backend=f"{__name__}.Narrow", options=options, place="here"), options["asked"]


async def tell(prompt: Prompt, *chain: ProviderSpec, **settings: Any) -> tuple[list[Event], Turn]:
    found = settings_with(*chain, **settings)
    turn = Turn(found, prompt, TurnLifecycle(found, Caller(), StartedTurn(turn="", messages=())))
    turn.start(asyncio.get_running_loop())
    return await everything(turn), turn


def told(prompt: Prompt, *chain: ProviderSpec, **settings: Any) -> tuple[list[Event], Turn]:
    """What a turn tells of this prompt after its beginning, and the turn."""
    events, turn = run_ahead(tell(prompt, *chain, **settings))
    return [event for event in events if not isinstance(event, Started)], turn


def codes(turn: Turn) -> list[str]:
    return [f"{one.provider}:{one.code}" for one in turn.record.attempts]


def test_a_conversation_that_is_too_long_is_asked_once_more_with_the_end_of_it() -> None:
    spec, asked = narrow(12_000)
    events, turn = told(LONG, spec)
    assert events[:2] == [WARNED, Delta(text="Hello")]
    assert isinstance(events[2], Finished)
    assert texts(asked[1]) == ["Be kind.", *["x" * 1000] * 8, "What now?"]
    assert codes(turn) == ["default:context_exceeded", "default:"]


def test_the_warning_comes_before_any_text() -> None:
    spec, _ = narrow(12_000)
    events, _ = run_ahead(tell(LONG, spec))
    assert [type(event) for event in events] == [Started, Warned, Delta, Finished]


def test_what_is_told_in_whole_needs_no_warning() -> None:
    spec, asked = narrow(30_000)
    events, _ = told(LONG, spec)
    assert events[0] == Delta(text="Hello")
    assert asked == [LONG]


def test_a_conversation_that_is_too_long_even_then_is_told_so() -> None:
    spec, asked = narrow(500)
    (last,), turn = told(LONG, spec, attempts=3)
    assert isinstance(last, Failed)
    assert type(last.error) is ContextExceeded
    assert len(asked) == 2
    assert codes(turn) == ["default:context_exceeded"] * 2


def test_a_question_that_is_too_long_by_itself_is_told_at_once() -> None:
    spec, asked = narrow(10)
    (last,), _ = told(prompt_of("What now?"), spec)
    assert isinstance(last, Failed)
    assert len(asked) == 1


def test_the_size_that_was_named_is_known_to_the_next_turn() -> None:
    async def main() -> list[Event]:
        await tell(LONG, spec)
        return (await tell(LONG, spec))[0]

    spec, asked = narrow(8_000, names=2000)
    events = run_ahead(main())
    assert events[1] == WARNED
    assert len(asked) == 3


def test_a_size_that_the_settings_name_is_kept_from_the_first_prompt_on() -> None:
    spec, asked = narrow(8_000, context_tokens=2000)
    events, _ = told(LONG, spec)
    assert events[0] == WARNED
    assert len(asked) == 1


def test_a_short_conversation_is_not_touched_by_the_settings() -> None:
    spec, asked = narrow(8_000, context_tokens=2000)
    events, _ = told(SHORT, spec)
    assert events[0] == Delta(text="Hello")
    assert asked == [SHORT]


def test_a_retry_sends_the_shorter_prompt_again() -> None:
    spec, asked = narrow(12_000, faults=[ProviderBusy()])
    events, turn = told(LONG, spec, attempts=2)
    assert events[0] == WARNED
    assert asked[1] == asked[2]
    assert codes(turn) == ["default:context_exceeded", "default:provider_busy", "default:"]


def test_each_provider_in_line_has_its_own_size() -> None:
    small, _ = narrow(500)
    large, asked = narrow(30_000, name="spare")
    events, turn = told(LONG, small, large)
    assert events[0] == Delta(text="Hello")
    assert asked == [LONG]
    assert codes(turn) == ["default:context_exceeded", "default:context_exceeded", "spare:"]


def test_only_the_prompt_that_was_answered_is_counted() -> None:
    spec, asked = narrow(12_000)
    events, _ = told(LONG, spec)
    assert isinstance(events[-1], Finished)
    sent = sum(len(message.text) for message in asked[1].messages)
    assert events[-1].usage == Usage(input_tokens=-(-sent // 4), output_tokens=2, estimated=True)


def test_what_a_provider_said_first_is_never_asked_again() -> None:
    class_path = f"{__name__}.LateRefusal"
    spec = ProviderSpec(name="default", backend=class_path, options={}, place="here")
    events, turn = told(LONG, spec)
    assert [type(event) for event in events] == [Delta, Failed]
    assert codes(turn) == ["default:"]


class LateRefusal(Provider):
    """Begins, and only then finds that it cannot go on."""

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ProviderEvent, None]:
        yield Delta(text="Hello")
        raise ContextExceeded


@pytest.mark.parametrize("takes", [12_000, 30_000])
def test_the_question_and_the_system_prompt_always_stay(takes: int) -> None:
    spec, asked = narrow(takes)
    told(LONG, spec)
    assert all(texts(prompt)[0] == "Be kind." and prompt.question == "What now?" for prompt in asked)
