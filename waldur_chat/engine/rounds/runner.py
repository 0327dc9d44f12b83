"""The interfaces through which a turn gets context and runs tools.

The engine knows neither these nor where their calls are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from waldur_chat.events import CallRequested, ToolEvent
from waldur_chat.messages import Message, Prompt, ToolSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundResult:
    """What the calls of one round gave: messages of the role "tool", at most one for each call.

    `ends_turn` means that the model is not asked again: the rest is for the user to do. `reason` is then the stop
    reason.
    """

    messages: tuple[Message, ...] = ()
    ends_turn: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One answer of the model that calls tools. `position` is that of the text of the whole turn so far.

    `reasoning` are its thoughts before the calls if they go back, in the field `reasoning_key`.
    `is_tainted`: the prompt that was answered holds words of strangers, which may have led the model to the calls.
    """

    number: int
    position: int
    requests: Sequence[CallRequested]
    reasoning: str = field(default="", repr=False)
    reasoning_key: str = ""
    is_tainted: bool = False


class ContextSource(Protocol):
    """Adds the site's context to the prompt of one turn, on its event loop, before a model is asked."""

    async def added_to(self, prompt: Prompt) -> Prompt:
        """The prompt with context, or without if there is none. Raises the `ChatError` that ends the turn."""


class ToolRunner(Protocol):
    """Runs the calls of one turn, on its event loop."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools that the model is offered in the next round: what it calls may load others."""

    @property
    def has_decided(self) -> bool:
        """Whether the user has decided on calls of an earlier answer, which this turn goes on with."""

    async def run_decided(self, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """Run those of them that were approved. The result has a message for each, as for the calls of a round."""

    async def run(self, asked: Round, announce: Callable[[ToolEvent], None]) -> RoundResult:
        """Run the calls of one round; `announce()` each when it begins and when it ends.

        Failures of tools are results. Cancelled, it announces what becomes of the calls that have not ended.
        """
