"""The title of a conversation, requested from the same model during the first answer, with a small token limit."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry
from waldur_chat.conf import Settings
from waldur_chat.engine.answer_writer import SurrogateJoiner
from waldur_chat.engine.failover import Attempts
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.events import LENGTH, Delta, ProviderEvent, Reasoning, ReasoningWasAnswer, Stopped, Usage
from waldur_chat.messages import Message, Prompt
from waldur_chat.metrics import observer
from waldur_chat.models.conversations import NAME_MAX_LENGTH
from waldur_chat.record import TurnRecord
from waldur_chat.runtime.forked import PerProcess
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.store.budgets.token_estimates import TokenEstimate
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.finish import NO_USAGE, TurnOutcome
from waldur_chat.text_size import measured
from waldur_chat.turns.allowance import OutputAllowance
from waldur_chat.turns.heartbeat import TrackedTurn, heartbeat_of_process
from waldur_chat.turns.held_tokens import hold
from waldur_chat.turns.recorder import record, run_in_background
from waldur_chat.wire.thoughts import without_thoughts

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
_MARK = re.compile(r"^(#{1,6}|[-*+•>])\s+")
"""A heading, an entry of a list, or a quotation in Markdown."""

_FENCE = re.compile(r"```\w*")
_LABEL = re.compile(
    r"^[*_\"']*(title|titel|titre|título|titolo|tytuł|pealkiri|заголовок|название|标题|タイトル|제목)"
    r"[*_\"' ]*[:\uff1a][*_ ]*",
    re.IGNORECASE,
)
_PAIRS = ("****", "____", "**", "__", "``", '""', "''", "“”", "„“", "„”", "\u2018\u2019", "«»", "»«", "「」")
"""What may surround a title, the longer first: each beginning with its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Title:
    """A title (empty if there is none), the model that was used, and its usage."""

    text: str = field(repr=False)
    model: str
    usage: Usage | None


def input_tokens(question: str, estimate: TokenEstimate) -> int:
    """The tokens that the prompt for the title of a conversation with this question likely has."""
    return estimate.input_tokens(measured(_messages(question)))


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
    """The first line of a generated title that is one, without reasoning, introduction, label, markup and quotes."""
    lines = [line for line in map(_without_markup, without_thoughts(text).splitlines()) if line]
    # A heading "Title", or "Here is a title:", with the title below it.
    while len(lines) > 1 and (lines[0].endswith((":", "\uff1a")) or _LABEL.fullmatch(f"{lines[0]}:")):
        lines.pop(0)
    return lines[0][:NAME_MAX_LENGTH] if lines else ""


def _without_markup(line: str) -> str:
    """The line without what surrounds a title, layer by layer; empty for a line that has nothing else."""
    before, line = "", "" if _FENCE.fullmatch(line.strip()) else line.strip()
    while line != before:
        before, line = line, _LABEL.sub("", _MARK.sub("", line)).strip()
        for pair in _PAIRS:
            line = _unwrapped(line, pair[: len(pair) // 2], pair[len(pair) // 2 :])
    return line


def _unwrapped(line: str, begin: str, end: str) -> str:
    """The line without this pair around it; of bold type and quotation marks one half is enough."""
    has_both = line.startswith(begin) and line.endswith(end)
    inner = line.removeprefix(begin).removesuffix(end)
    is_name = "_" in begin and " " not in line  # As in __init__.
    if is_name or not (has_both or begin in ("**", '"')) or begin in inner or end in inner:
        return line
    return inner


def _messages(question: str) -> tuple[Message, ...]:
    return (Message(role="user", text=ASK + question[:QUESTION_LENGTH]),)


class TitleSearch:
    """Finds a conversation's title during its first answer, and records the turn that generates it."""

    def __init__(self, started: StartedTurn, settings: Settings, asked: Prompt, tenant: Tenant | None = None) -> None:
        self._started = started
        self._tenant = tenant
        self._settings = settings
        self._question = started.messages[-1].text[started.unanswered_length :]
        self._request = _TitleRequest(self._question, settings, asked)
        self._loop: asyncio.AbstractEventLoop | None = None

    def reserve(self) -> None:
        """Track the title's turn, so that its lease and its reservation stay valid."""
        tracked = TrackedTurn(cancel=self.stop, tenant=self._tenant)
        heartbeat_of_process(self._tenant).add(self._started.title_turn, tracked)
        _searches()[self._started.thread] = self

    def start(self) -> None:
        """Request the title in the background; it may take longer than the answer."""
        heartbeat, started = heartbeat_of_process(self._tenant), self._started
        request = heartbeat.request_adjustment
        held = hold(started.title_reserved, started.title_turn, self._settings, self._request.counter, request)
        if held:
            heartbeat.add(started.title_turn, TrackedTurn(cancel=self.stop, tenant=self._tenant, held=held))
            self._request.allowance = held.allowance
        run_in_background(self._find())
        self._loop = asyncio.get_running_loop()  # Last, so that stop() comes after the first step of the task.

    def stop(self) -> None:
        """Stop the request, so that the first words of the question are the title. Called from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # A closed loop has ended all its tasks.
                self._loop.call_soon_threadsafe(self._request.stop)

    async def skip_unless_started(self) -> None:
        """Record an empty title if the answer ended before `start()`: then a later question may ask for one."""
        if self._loop is None:
            await self._record(Title(text="", model="", usage=None))

    async def _find(self) -> None:
        title = Title(text="", model="", usage=None)
        try:
            try:
                title = await self._request.title()
            finally:
                await self._record(replace(title, text=title.text or first_words(self._question)))
        except Exception as error:  # Any error: nobody waits for this task.
            logger.error("The title of a conversation could not be stored: %s", type(error).__name__)

    async def _record(self, title: Title) -> None:
        heartbeat_of_process(self._tenant).discard(self._started.title_turn)
        _searches().pop(self._started.thread, None)
        observer().title_ended(self._request.record, title.usage)
        outcome = TurnOutcome(status="finished", text=title.text, model=title.model, usage=title.usage or NO_USAGE)
        await record(self._started.title_turn, outcome, TrackedTurn(tenant=self._tenant))


_searches: PerProcess[dict[str, TitleSearch]] = PerProcess(dict)
"""The running searches of this process, by the id of their conversation."""


def stop_search(thread: str) -> None:
    """Stop the search for the title of this conversation, if it runs in this process.

    A further question would have to wait for it where a service answers one request at a time.
    """
    if search := _searches().get(thread):
        search.stop()


class _TitleRequest:
    """One request for a title, and its result so far."""

    def __init__(self, question: str, settings: Settings, asked: Prompt) -> None:
        prompt = Prompt(
            messages=_messages(question),
            request_id=asked.request_id,
            connect_seconds=settings.connect_seconds,
            max_output_tokens=OUTPUT_TOKENS,
            metadata=asked.metadata,
            user_id=asked.user_id,
            thread=asked.thread,
            purpose="title",
        )
        self.record = TurnRecord(turn="", request_id=asked.request_id, user_id="", purpose="title")
        self.counter = UsageCounter(prompt)
        self.allowance: OutputAllowance | None = None
        """What is reserved for it; None without limits."""
        self._attempts = Attempts(replace(settings, attempts=1), prompt, self.record, self.counter)
        self._parts: list[str] = []
        self._is_complete = False
        self._is_cut_off = False
        self._task: asyncio.Task[None] | None = None

    async def title(self) -> Title:
        """Request the title; errors result in an empty one. Cancelling the caller cancels the request."""
        # A task, so that the time limit and stop() leave the partial usage to be counted.
        self._task = asyncio.create_task(self._collect())
        try:
            await asyncio.wait({self._task}, timeout=SECONDS)
        finally:
            self._task.cancel()
        return self._result()

    def stop(self) -> None:
        """Cancel the request, which title() has begun."""
        assert self._task is not None
        self._task.cancel()

    async def _collect(self) -> None:
        """Collect the answer. One that exceeds the token limit is not a title."""
        try:
            async with aclosing(await self._attempts.begin()) as answer:
                for event in answer.first:
                    self._take(event)
                async for event in answer.rest:
                    self._take(event)
                    if self.counter.output_tokens > OUTPUT_TOKENS or not await self._is_covered(event):
                        return
                self._is_complete = True
        except Exception as error:  # Any error: a title is optional.
            logger.info("No title was found: %s", type(error).__name__)

    async def _is_covered(self, event: ProviderEvent) -> bool:
        """Whether the reservation covers the title so far, if need be after waiting for more."""
        allowance = self.allowance
        if allowance is None or not isinstance(event, (Delta, Reasoning)) or not allowance.is_used_up():
            return True
        return await allowance.grown()

    def _result(self) -> Title:
        joiner = SurrogateJoiner()
        is_title = self._is_complete and not self._is_cut_off
        text = joiner.feed("".join(self._parts)) + joiner.flush() if is_title else ""
        usage = self.counter.total(complete=self._is_complete)
        return Title(text=cleaned(text), model=self.record.model, usage=usage)

    def _take(self, event: ProviderEvent) -> None:
        match event:
            case Delta(text=text):
                self._parts.append(text)
                self.counter.add_output(text)
            case Reasoning(text=text):
                self.counter.add_output(text)
            case Stopped(reason=reason):
                self._is_cut_off = reason == LENGTH
            case ReasoningWasAnswer(text=text):
                self._parts.append(text)
            case Usage():
                self.counter.report(event)
