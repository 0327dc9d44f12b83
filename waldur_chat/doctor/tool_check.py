"""Asks a provider of the site for a call of a tool, as turns do, and names why none comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from waldur_chat import chat, registry
from waldur_chat.conf import ProviderSpec, Settings
from waldur_chat.doctor.findings import Finding, make_finding
from waldur_chat.engine.rounds.runner import Round, RoundResult
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import ChatError, ProviderError
from waldur_chat.events import Delta, Event, Failed, ToolEvent
from waldur_chat.messages import Message, Prompt, ToolSpec
from waldur_chat.providers.dialects.text_calls import TextCalls
from waldur_chat.providers.openai import OpenAIProvider
from waldur_chat.record import Caller
from waldur_chat.runtime.loop import background_loop
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.turns.lifecycle import TurnLifecycle

TOOL = ToolSpec(
    name="say_word",
    description="Say a word to the operator of this site, to show that calls of tools work.",
    schema={"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
)
QUESTION = "Say word: call the tool say_word with the word OK. Do not answer with text."
MOST_TEXT = 100_000

_NEEDS = {
    "vllm": "tools_vllm_options",
    "llama.cpp": "tools_llama_jinja",
    "model": "tools_model",
    "unnamed": "tools_refused",
}
"""What a refusal says, see `ProviderError.refuses_tools`, and the finding for it."""


class CallNoter:
    """Runs nothing, and notes whether the model has called the tool."""

    specs = (TOOL,)
    has_decided = False

    def __init__(self) -> None:
        self.is_called = False

    async def run_decided(self, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """Nothing has waited for a decision."""
        return RoundResult()

    async def run(self, asked: Round, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """The turn ends with the first call."""
        self.is_called = True
        return RoundResult(ends_turn=True)


def check_tools(settings: Settings, spec: ProviderSpec, values: Mapping[str, str]) -> list[Finding]:
    """Ask this provider alone for a call, once. It has answered without tools before.

    The model is free to call (`tool_choice` is "auto"), as in turns: "required" may work where "auto" does not.
    """
    if not registry.build(spec).supports_tools:
        return [make_finding("tools_off", f"{spec.name}: tools are not sent", **values)]
    noter = CallNoter()
    text, error, cause = _ask(settings, spec, noter)
    if noter.is_called:
        return []
    if error is None:
        return [make_finding(_kind_of_text(text), f"{spec.name}: an answer without a call", **values)]
    kind = _NEEDS.get(error.refuses_tools, "tools_refused") if isinstance(error, ProviderError) else "tools_refused"
    return [make_finding(kind, f"{spec.name}: {error.code}: {cause}", **values)]


def _ask(settings: Settings, spec: ProviderSpec, noter: CallNoter) -> tuple[str, ChatError | None, str]:
    """The text of the answer; or the error, and its cause as it is logged."""
    alone = replace(settings, providers={"default": replace(_insisting(spec), fallback="")}, attempts=1)
    prompt = Prompt(
        messages=(Message(role="user", text=QUESTION),), tools=noter.specs, connect_seconds=settings.connect_seconds
    )
    turn = Turn(alone, prompt, TurnLifecycle(alone, Caller(), StartedTurn(turn="", messages=())), noter)
    turn.start(background_loop())
    events: list[Event] = []
    try:
        while not chat.ended(events):
            events += turn.take_blocking()
    finally:
        turn.cancel()
    text = "".join(event.text for event in events if isinstance(event, Delta))
    return text, next((event.error for event in events if isinstance(event, Failed)), None), turn.record.cause


def _insisting(spec: ProviderSpec) -> ProviderSpec:
    """The same provider, which does not go on without tools where they are refused."""
    if not issubclass(registry.provider_class(spec), OpenAIProvider):
        return spec
    return replace(spec, options={**spec.options, "tools": True})


def _kind_of_text(text: str) -> str:
    reader = TextCalls({TOOL.name}, MOST_TEXT)
    reader.feed(text)
    if reader.take():
        return "tools_in_text"
    return "tools_unread" if TOOL.name in text and any(mark in text for mark in "{[<(") else "tools_not_called"
