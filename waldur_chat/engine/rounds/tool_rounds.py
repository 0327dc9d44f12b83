"""What a turn does between two requests to its model: run the tools that were called, and make the next prompt.

Every call gets an answer before the model is asked again, as services demand. The last round forbids calls
(`tool_choice` is "none"), so that the model answers with what is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from waldur_chat.conf import Settings
from waldur_chat.engine.answer_writer import AnswerWriter, whole_characters
from waldur_chat.engine.rounds.repeats import LAST_AT, TOLD_AT, RepeatedCalls
from waldur_chat.engine.rounds.runner import Round, RoundResult, ToolRunner
from waldur_chat.events import CallRequested, Delta, ProviderEvent, Reasoning, ReasoningWasAnswer
from waldur_chat.messages import Call, Message, Prompt

ToolChoice = Literal["auto", "none"]

NOT_RUN = "This call was not run: too many calls were made for one answer. Answer with what you know."
NO_RESULT = "This call has no result."
REPEATED = "You have made this call several times, with the same result. Do not repeat it; answer with what you know."


@dataclass(slots=True, kw_only=True)
class _Said:
    """What the model has said in the current round."""

    text: list[str] = field(default_factory=list)
    thoughts: list[str] = field(default_factory=list)
    requests: list[CallRequested] = field(default_factory=list)

    def message(self) -> Message:
        """The same as a message of the assistant."""
        calls = tuple(Call(id=one.id, name=one.name, arguments=one.arguments, extra=one.extra) for one in self.requests)
        key = next((one.reasoning_key for one in self.requests if one.reasoning_key), "")
        return Message(
            role="assistant",
            text=whole_characters("".join(self.text)),
            calls=calls,
            reasoning=whole_characters("".join(self.thoughts)) if key else "",
            reasoning_key=key,
        )


class ToolRounds:
    """The rounds of one turn whose model may call tools."""

    def __init__(self, runner: ToolRunner, settings: Settings, prompt: Prompt, writer: AnswerWriter) -> None:
        self._runner = runner
        self._writer = writer
        self.prompt = prompt
        """That of the next round."""
        self._most_rounds = settings.tool_rounds
        self._calls_left = settings.tool_calls
        self._number = 0
        self._repeated = RepeatedCalls()
        self._is_last = False
        self._said = _Said()

    @property
    def has_calls(self) -> bool:
        """Whether the model has called tools in the current round."""
        return bool(self._said.requests)

    def take(self, event: ProviderEvent) -> None:
        """Note what the model says."""
        match event:
            case CallRequested():
                self._said.requests.append(event)
            case Delta(text=text):
                self._said.text.append(text)
            case Reasoning(text=text):
                self._said.thoughts.append(text)
            case ReasoningWasAnswer(text=text):
                self._said.text.append(text)
                self._said.thoughts.clear()

    def limit_answer(self, tokens: int, *, is_last: bool) -> None:
        """Limit the answer of the next round to so many tokens, and forbid calls if it must be the last one."""
        self._is_last = self._is_last or is_last
        self.prompt = replace(self.prompt, max_output_tokens=tokens, tool_choice=self._tool_choice)

    async def begin(self) -> bool:
        """Run the calls of an earlier answer on which the user has decided. False without any."""
        if not self._runner.has_decided:
            return False
        result = await self._runner.run_decided(self._writer.announce)
        if result.ends_turn:
            self._leave_to_user(result)
        results = {message.call_id: message for message in result.messages}
        messages = list(self.prompt.messages)
        # Ids are unique in a turn only, so the results of earlier answers stay.
        last = max(at for at, message in enumerate(messages) if message.calls)
        messages[last:] = [results.get(one.call_id, one) if one.role == "tool" else one for one in messages[last:]]
        self.prompt = self.prompt.with_messages(messages)
        return True

    async def run(self) -> bool:
        """Run the tools that the model has called. False if the model need not be asked again."""
        said, self._said = self._said, _Said()
        if not said.requests or self._is_last:
            return False
        self._writer.end_round()
        allowed = said.requests[: self._calls_left]
        self._calls_left -= len(allowed)
        message = said.message()
        asked = Round(
            number=self._number,
            position=self._writer.position,
            requests=allowed,
            reasoning=message.reasoning,
            reasoning_key=message.reasoning_key,
            is_tainted=self.prompt.is_tainted,
        )
        result = await self._runner.run(asked, self._writer.announce)
        self._number += 1
        if result.ends_turn:
            self._leave_to_user(result)
            return False
        self._go_on(message, self._answers(said.requests, len(allowed), result.messages))
        return True

    @property
    def _tool_choice(self) -> ToolChoice:
        return "none" if self._is_last else "auto"

    def _answers(
        self, requests: Sequence[CallRequested], allowed: int, results: Sequence[Message]
    ) -> tuple[Message, ...]:
        """One message for each call, in their order."""
        by_call = {message.call_id: message for message in results}
        answers = [self._answer(one, by_call.get(one.id)) for one in requests[:allowed]]
        refused = [Message(role="tool", text=NOT_RUN, call_id=one.id) for one in requests[allowed:]]
        self._is_last = self._is_last or bool(refused) or self._calls_left == 0
        return (*answers, *refused)

    def _answer(self, request: CallRequested, result: Message | None) -> Message:
        answer = result or Message(role="tool", text=NO_RESULT, call_id=request.id)
        times = self._repeated.count(request, answer.text)
        self._is_last = self._is_last or times >= LAST_AT
        return answer if times < TOLD_AT else replace(answer, text=f"{answer.text}\n\n{REPEATED}")

    def _leave_to_user(self, result: RoundResult) -> None:
        self._writer.is_left_to_user = True
        self._writer.stop_reason = result.reason

    def _go_on(self, said: Message, answers: tuple[Message, ...]) -> None:
        self._is_last = self._is_last or self._number >= self._most_rounds
        prompt = self.prompt.with_messages((*self.prompt.messages, said, *answers))
        self.prompt = replace(prompt, tools=self._runner.specs, tool_choice=self._tool_choice)
