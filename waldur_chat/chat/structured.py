"""Answers in the form of a schema: ask, read the value, and ask once more if it does not fit.

One generator tells it for blocking and for asynchronous callers. It yields what to ask, is sent the events of that
turn, and returns the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from uuid import UUID

from waldur_chat.chat.answers import Answer, CollectedEvents, collect_into
from waldur_chat.errors import InvalidAnswer
from waldur_chat.events import Event, Usage
from waldur_chat.messages import Question
from waldur_chat.schemas.answers import UnfitAnswer
from waldur_chat.turns.host.options import HostOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question of the host's code. `model` is the name of a provider; empty for the default."""

    question: Question
    options: HostOptions
    model: str = ""


Dialogue = Generator[Asked, Iterable[Event], Answer]


def ask(asked: Asked) -> Dialogue:
    """Ask once, and with a form again if the answer does not fit.

    Raises `InvalidAnswer` if the second answer does not fit, or the first one was cut off: another would be, too.
    """
    first, problem = yield from _try(asked)
    if problem is None:
        return first
    form = asked.options.form
    assert form
    if first.status != "complete":
        raise InvalidAnswer(f"It was cut off ({first.reason}). {problem}", first.text)
    again = replace(asked.options, correction=form.correction(first.text, str(problem)))
    second, problem = yield from _try(replace(asked, question=_again(asked.question, first), options=again))
    if problem is not None:
        raise InvalidAnswer(str(problem), second.text)
    return replace(second, usage=_sum(first.usage, second.usage), calls=(*first.calls, *second.calls))


def _try(asked: Asked) -> Generator[Asked, Iterable[Event], tuple[Answer, UnfitAnswer | None]]:
    """Ask. Returns the answer with its value, or what is wrong with it."""
    collected = CollectedEvents()
    answer = collect_into(collected, (yield asked))
    form = asked.options.form
    if form is None or answer.status == "waiting":
        return answer, None
    try:
        return replace(answer, value=form.read(collected.last_text)), None
    except UnfitAnswer as problem:
        return answer, problem


def _again(question: Question, answer: Answer) -> Question:
    """A stored answer is replaced, as by a reload; else the question is asked anew."""
    return Question(thread=UUID(answer.thread), mode="reload") if answer.thread else question


def _sum(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    return Usage(
        input_tokens=first.input_tokens + second.input_tokens,
        output_tokens=first.output_tokens + second.output_tokens,
        estimated=first.estimated or second.estimated,
    )
