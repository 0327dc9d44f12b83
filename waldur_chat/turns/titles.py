"""The title of a conversation, requested from the same model during the first answer, with a small token limit."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry
from waldur_chat.conf import Settings
from waldur_chat.engine.answer_writer import SurrogateJoiner
from waldur_chat.engine.failover import Attempts
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Usage
from waldur_chat.messages import Message, Prompt, size_of
from waldur_chat.models.conversations import NAME_MAX_LENGTH
from waldur_chat.record import TurnRecord
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import NO_USAGE, TurnOutcome
from waldur_chat.turns.heartbeat import TrackedTurn, heartbeat_of_process
from waldur_chat.turns.recorder import record, run_in_background

logger = logging.getLogger("waldur_chat.lifecycle")

OUTPUT_TOKENS = 256
"""Enough for a title, and for some reasoning before it."""

QUESTION_LENGTH = 1000
"""How many characters of the question the title is based on."""

SECONDS = 30.0
FIRST_WORDS_LENGTH = 60
ASK = (
    "Write a title of at most six words for a conversation that begins with the message below, in its language. "
    "Answer with the title alone.\n\n"
)
_THOUGHTS = re.compile(r"<think>.*?(</think>|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A title (empty if there is none), the model that was used, and its usage."""

    text: str = field(repr=False)
    model: str
    usage: Usage | None


def worst_case() -> int:
    """The most tokens that a title can use."""
    return size_of(ASK) + QUESTION_LENGTH * 4 + OUTPUT_TOKENS


def can_be_generated(settings: Settings) -> bool:
    """Whether the site wants generated titles, and all its providers support them."""
    try:
        return settings.titles and all(registry.provider_class(spec).writes_titles for spec in settings.chain)
    except ImproperlyConfigured:  # The turn itself raises it.
        return False


def first_words(text: str) -> str:
    """The title without a model: the beginning of the question, cut between words."""
    line = " ".join(text.split())
    if len(line) <= FIRST_WORDS_LENGTH:
        return line
    return f"{line[:FIRST_WORDS_LENGTH].rsplit(' ', 1)[0]}…"


def cleaned(text: str) -> str:
    """The first line of a generated title, without reasoning, markup and quotes."""
    lines = [line.strip(" \t#*_`\"'“”„«»") for line in _THOUGHTS.sub("", text).strip().splitlines()]
    title = next((line for line in lines if line), "")
    return title.removeprefix("Title:").strip(' "*')[:NAME_MAX_LENGTH]


async def request_title(question: str, settings: Settings, request_id: str) -> Title:
    """Request a title; errors result in an empty `Title`. Cancelling the caller cancels the request."""
    prompt = Prompt(
        messages=(Message(role="user", text=ASK + question[:QUESTION_LENGTH]),),
        request_id=request_id,
        connect_seconds=settings.connect_seconds,
        max_output_tokens=OUTPUT_TOKENS,
    )
    title_request = _TitleRequest(prompt, replace(settings, attempts=1))
    # A task, so that the time limit leaves the partial usage to be counted.
    task = asyncio.create_task(title_request.run())
    try:
        await asyncio.wait({task}, timeout=SECONDS)
    finally:
        task.cancel()
    return title_request.title()


class TitleSearch:
    """Finds a conversation's title during its first answer, and records the turn that generates it."""

    def __init__(self, started: StartedTurn, settings: Settings, request_id: str) -> None:
        self._started = started
        self._settings = settings
        self._request_id = request_id
        self._task: asyncio.Task[None] | None = None

    def reserve(self) -> None:
        """Track the title's turn, so that its lease and its reservation stay valid."""
        heartbeat_of_process().add(self._started.title_turn, TrackedTurn())

    def start(self) -> None:
        """Request the title in the background; it may take longer than the answer."""
        self._task = run_in_background(self._find())

    async def skip_unless_started(self) -> None:
        """Record an empty title if the answer ended before `start()`."""
        if self._task is None:
            await self._record(Title(text="", model="", usage=None))

    async def _find(self) -> None:
        question = self._started.messages[-1].text
        title = Title(text="", model="", usage=None)
        try:
            title = await request_title(question, self._settings, self._request_id)
        finally:
            await self._record(replace(title, text=title.text or first_words(question)))

    async def _record(self, title: Title) -> None:
        heartbeat_of_process().discard(self._started.title_turn)
        outcome = TurnOutcome(status="finished", text=title.text, model=title.model, usage=title.usage or NO_USAGE)
        await record(self._started.title_turn, outcome, TrackedTurn())


class _TitleRequest:
    """One request for a title, and its result so far."""

    def __init__(self, prompt: Prompt, settings: Settings) -> None:
        self._record = TurnRecord(turn="", request_id=prompt.request_id, user_id="")
        self._counter = UsageCounter(prompt)
        self._attempts = Attempts(settings, prompt, self._record, self._counter)
        self._parts: list[str] = []
        self._is_complete = False

    async def run(self) -> None:
        """Collect the answer. One that exceeds the token limit is not a title."""
        try:
            async with aclosing(await self._attempts.begin()) as answer:
                for event in answer.first:
                    self._take(event)
                async for event in answer.rest:
                    self._take(event)
                    if self._counter.output_tokens > OUTPUT_TOKENS:
                        return
                self._is_complete = True
        except Exception as error:  # Any error: a title is optional.
            logger.info("No title was found: %s", type(error).__name__)

    def title(self) -> Title:
        joiner = SurrogateJoiner()
        text = joiner.feed("".join(self._parts)) + joiner.flush() if self._is_complete else ""
        usage = self._counter.total(complete=self._is_complete)
        return Title(text=cleaned(text), model=self._record.model, usage=usage)

    def _take(self, event: ProviderEvent) -> None:
        match event:
            case Delta(text=text):
                self._parts.append(text)
                self._counter.add_output(text)
            case Reasoning(text=text):
                self._counter.add_output(text)
            case Usage():
                self._counter.report(event)
