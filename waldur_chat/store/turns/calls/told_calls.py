"""What later turns tell a model of the calls of tools in earlier answers: the calls, and their results, cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby

from django.core.signing import Signer

from waldur_chat.messages import Call
from waldur_chat.messages import Message as PromptMessage
from waldur_chat.models import ToolCall
from waldur_chat.wire.framing import data_in, framed

Status = ToolCall.Status

RAN = (Status.DONE, Status.FAILED, Status.UNKNOWN)

KeptThoughts = dict[str, list[str]]
"""By the number of a round, the field in which thoughts came, and the thoughts."""

RESULT_LENGTH = 2000
"""Characters of an earlier result. A model can repeat a call whose result it needs whole, and may have changed."""

CUT = " [The rest of this earlier result was left out.]"
NO_RESULT = "This call has no result: it was {status}."
NO_ANSWER = "[The answer ended here.]"
"""What stands for an answer that has calls only: many chat templates want one before the next question."""


def of_answers(answers: Iterable[int]) -> dict[int, list[ToolCall]]:
    """The calls of these messages, by primary key, in their order. One query, and none without messages."""
    keys = list(answers)
    found: dict[int, list[ToolCall]] = defaultdict(list)
    calls = ToolCall.objects.filter(turn__answer__in=keys).select_related("turn").order_by("turn", "number")
    for call in calls if keys else ():
        assert call.turn
        found[call.turn.answer_id or 0].append(call)
    return found


def have_waited(calls: Sequence[ToolCall]) -> bool:
    """Whether an answer with these calls has waited for its user, and can go on: all of them have ended."""
    ended = (*RAN, Status.DENIED)
    return any(call.decided_at for call in calls) and all(call.status in ended for call in calls)


def messages_of(
    text: str, calls: Sequence[ToolCall], *, goes_on: bool = False, is_same_question: bool = False
) -> list[PromptMessage]:
    """An answer with its calls, as the model has written it: round by round.

    `goes_on`: it has waited for its user, and another message of the assistant follows. In a turn that answers the same
    question the model gets its thoughts back, and whole results; else these have at most `RESULT_LENGTH` characters.
    """
    limit = None if is_same_question else RESULT_LENGTH
    thoughts = _thoughts(calls) if is_same_question else {}
    messages: list[PromptMessage] = []
    written = 0
    for number, group in groupby(calls, lambda call: call.round_number):
        of_round = list(group)
        cut = max(of_round[0].position - _text_start(of_round[0]), written)
        messages.append(_asking(text[written:cut], of_round, *thoughts.get(str(number), ())))
        messages += [_result(call, limit) for call in of_round]
        written = cut
    rest = text[written:].strip() or ("" if goes_on else NO_ANSWER)
    return [*messages, PromptMessage(role="assistant", text=rest)] if rest else messages


def _asking(text: str, calls: Sequence[ToolCall], key: str = "", thoughts: str = "") -> PromptMessage:
    told = tuple(Call(id=one.call_id, name=one.tool, arguments=one.arguments, extra=one.extra) for one in calls)
    return PromptMessage(role="assistant", text=text.strip(), calls=told, reasoning=thoughts, reasoning_key=key)


def _thoughts(calls: Iterable[ToolCall]) -> KeptThoughts:
    return {number: kept for call in calls for number, kept in (call.thoughts or {}).items()}


def _result(call: ToolCall, limit: int | None) -> PromptMessage:
    text = call.result or call.summary or NO_RESULT.format(status=call.status)
    text = text if limit is None or len(text) <= limit else text[: limit - len(CUT)] + CUT
    assert call.turn
    if call.status not in RAN:
        return PromptMessage(role="tool", text=text, call_id=call.call_id)
    text = framed(text, frame_key(call.turn.uuid.hex))
    return PromptMessage(role="tool", text=text, call_id=call.call_id, data=(data_in(text),))


def frame_key(turn: str) -> str:
    """The key of the marks around results of this turn, which nobody knows who writes results."""
    return Signer(salt="waldur_chat.framing").sign(turn).rpartition(":")[2][:8]


def _text_start(call: ToolCall) -> int:
    assert call.turn
    return call.turn.text_start
