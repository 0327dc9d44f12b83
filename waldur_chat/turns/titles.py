"""The title of a conversation: asked for beside the first answer, of the same model, with a small limit of its own."""

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
"""Room for a title, and for a model that thinks a little first."""

QUESTION_LENGTH = 1000
"""Characters of the question that a title is made of."""

SECONDS = 30.0
FIRST_WORDS_LENGTH = 60
ASK = (
    "Write a title of at most six words for a conversation that begins with the message below, in its language. "
    "Answer with the title alone.\n\n"
)
_THOUGHTS = re.compile(r"<think>.*?(</think>|$)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A title, empty where none was found, the model that was asked, and what that used."""

    text: str = field(repr=False)
    model: str
    usage: Usage | None


def worst_case() -> int:
    """Tokens that a title can use at the most."""
    return size_of(ASK) + QUESTION_LENGTH * 4 + OUTPUT_TOKENS


def can_be_asked_for(settings: Settings) -> bool:
    """Whether the site wants titles of its model, and that can write them."""
    try:
        return settings.titles and all(registry.provider_class(spec).writes_titles for spec in settings.chain)
    except ImproperlyConfigured:  # The turn itself will tell.
        return False


def first_words(text: str) -> str:
    """What stands for a title where no model wrote one: the beginning of the question, cut between words."""
    line = " ".join(text.split())
    if len(line) <= FIRST_WORDS_LENGTH:
        return line
    return f"{line[:FIRST_WORDS_LENGTH].rsplit(' ', 1)[0]}…"


def cleaned(text: str) -> str:
    """The title that a model wrote, without thoughts, markup, quotes and what follows its first line."""
    lines = [line.strip(" \t#*_`\"'“”„«»") for line in _THOUGHTS.sub("", text).strip().splitlines()]
    found = next((line for line in lines if line), "")
    return found.removeprefix("Title:").strip(' "*')[:NAME_MAX_LENGTH]


async def ask(question: str, settings: Settings, request_id: str) -> Title:
    """Ask for a title; whatever goes wrong, there is a `Title`. Being cancelled ends it too."""
    prompt = Prompt(
        messages=(Message(role="user", text=ASK + question[:QUESTION_LENGTH]),),
        request_id=request_id,
        connect_seconds=settings.connect_seconds,
        max_output_tokens=OUTPUT_TOKENS,
    )
    asking = _Asking(prompt, replace(settings, attempts=1))
    task = asyncio.create_task(asking.run())
    try:
        await asyncio.wait({task}, timeout=SECONDS)
    finally:
        task.cancel()
    return asking.title()


class TitleSearch:
    """Finds the title of a conversation beside its first answer, and records the turn that looks for it."""

    def __init__(self, started: StartedTurn, settings: Settings, request_id: str) -> None:
        self._started = started
        self._settings = settings
        self._request_id = request_id
        self._task: asyncio.Task[None] | None = None

    def reserve(self) -> None:
        """Keep the lease of its turn, whose tokens are reserved."""
        heartbeat_of_process().add(self._started.title_turn, TrackedTurn())

    def start(self) -> None:
        """Ask for it; it may take longer than the answer."""
        self._task = run_in_background(self._find())

    async def skip_unless_started(self) -> None:
        """The answer has ended: without a beginning of it nobody asks for a title."""
        if self._task is None:
            await self._record(Title(text="", model="", usage=None))

    async def _find(self) -> None:
        question = self._started.messages[-1].text
        title = Title(text="", model="", usage=None)
        try:
            title = await ask(question, self._settings, self._request_id)
        finally:
            await self._record(replace(title, text=title.text or first_words(question)))

    async def _record(self, title: Title) -> None:
        heartbeat_of_process().discard(self._started.title_turn)
        outcome = TurnOutcome(status="finished", text=title.text, model=title.model, usage=title.usage or NO_USAGE)
        await record(self._started.title_turn, outcome, TrackedTurn())


class _Asking:
    """One request for a title, and what came of it so far."""

    def __init__(self, prompt: Prompt, settings: Settings) -> None:
        self._record = TurnRecord(turn="", request_id=prompt.request_id, user_id="")
        self._counter = UsageCounter(prompt)
        self._attempts = Attempts(settings, prompt, self._record, self._counter)
        self._pieces: list[str] = []
        self._is_whole = False

    async def run(self) -> None:
        """Collect the answer; one that is longer than what was reserved for it is no title."""
        try:
            async with aclosing(await self._attempts.begin()) as answering:
                for event in answering.first:
                    self._take(event)
                async for event in answering.rest:
                    self._take(event)
                    if self._counter.output_tokens > OUTPUT_TOKENS:
                        return
                self._is_whole = True
        except Exception as error:  # A conversation without a title is none the worse.
            logger.info("No title was found: %s", type(error).__name__)

    def title(self) -> Title:
        """What came of it."""
        joiner = SurrogateJoiner()
        text = joiner.feed("".join(self._pieces)) + joiner.flush() if self._is_whole else ""
        return Title(text=cleaned(text), model=self._record.model, usage=self._counter.total(complete=self._is_whole))

    def _take(self, event: ProviderEvent) -> None:
        match event:
            case Delta(text=text):
                self._pieces.append(text)
                self._counter.add_output(text)
            case Reasoning(text=text):
                self._counter.add_output(text)
            case Usage():
                self._counter.report(event)
