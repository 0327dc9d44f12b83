"""Context in the budget of a turn: it is reserved before the model is asked, or left out."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.unit.aio import run
from waldur_chat.engine.rounds.answer_rounds import _with_context
from waldur_chat.messages import Message, Prompt
from waldur_chat.text_size import total_size

PROMPT = Prompt(messages=(Message(role="user", text="Hi"),))
CONTEXT = Message(role="user", text="x" * 1000)


class Source:
    """Gives the context."""

    async def added_to(self, prompt: Prompt) -> Prompt:
        return prompt.with_context(CONTEXT)


@dataclass
class FakeAllowance:
    """So many bytes for all, of which the turn has some."""

    room: int
    grows: bool = True
    is_small: bool = True
    begun: list[int] = field(default_factory=list)

    def begin_round(self, prompt: Prompt) -> int:
        self.begun.append(total_size(prompt.counted))
        return self.room - self.begun[-1]

    def is_used_up(self) -> bool:
        return self.is_small

    def left_bytes(self) -> float:
        raise NotImplementedError

    async def grown(self) -> bool:
        return self.grows


@pytest.mark.parametrize(
    ("allowance", "has_context"),
    [
        (FakeAllowance(3000), True),
        (FakeAllowance(3000, is_small=False, grows=False), True),
        (FakeAllowance(3000, grows=False), False),
        (FakeAllowance(1100), False),
    ],
)
def test_context_needs_room_in_the_budget(allowance: FakeAllowance, has_context: bool) -> None:
    prompt = run(_with_context(Source(), PROMPT, allowance))
    assert (prompt.messages != PROMPT.messages, prompt.lacks_context) == (has_context, not has_context)
    if has_context:
        assert prompt.max_output_tokens == allowance.room - allowance.begun[-1]
    else:
        assert allowance.begun[-1] == total_size(PROMPT.counted)
