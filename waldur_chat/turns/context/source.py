"""What a turn gets of the site's context, and how that is kept: a turn with words of strangers taints later ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

from django.db import Error
from django.utils.translation import get_language

from waldur_chat.conf import Settings
from waldur_chat.context import ContextQuery, ContextText
from waldur_chat.engine.answer_writer import whole_characters
from waldur_chat.errors import ChatError, DatabaseUnavailable, TurnInterrupted
from waldur_chat.messages import Message, Prompt
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.store.turns.begin import StartedTurn
from waldur_chat.store.turns.calls import taint
from waldur_chat.store.turns.calls.told_calls import frame_key
from waldur_chat.turns.context.asking import ask, is_asking
from waldur_chat.wire.cutting import text_within
from waldur_chat.wire.framing import data_in, framed

logger = logging.getLogger("waldur_chat.context")

SHORTEST = 200
"""Fewer characters of a text are not worth a place in the prompt."""

SOURCE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteContext:
    """Asks the site's callable for the context of one turn."""

    settings: Settings
    query: ContextQuery
    turn: str
    tenant: Tenant | None = field(default=None, repr=False)

    async def added_to(self, prompt: Prompt) -> Prompt:
        """The prompt with the texts before the question; without any if the callable fails, which is logged.

        Raises a `ChatError` that the callable raises, `DatabaseUnavailable` if it cannot be stored that the turn is
        tainted, and `TurnInterrupted` if the turn is not there any more.
        """
        seconds = self.settings.context_seconds
        asking = ask(self.settings.context, self.query, self.tenant, partial(_keep_taint, self._stored_turn))
        try:
            texts = await asyncio.wait_for(asking, seconds)
        except ChatError:
            raise
        except asyncio.TimeoutError:
            logger.error("CONTEXT took longer than %g seconds; the turn goes on without it", seconds)
            return replace(prompt, lacks_context=True)
        except Exception as error:
            logger.error("CONTEXT failed; the turn goes on without it", exc_info=error)
            return replace(prompt, lacks_context=True)
        message = as_message(texts, frame_key(self.turn or uuid4().hex), self.settings.context_length)
        return prompt.with_context(message) if message else prompt

    @property
    def _stored_turn(self) -> str:
        """The turn, if later ones may belong to its conversation."""
        return self.turn if self.query.thread else ""


def source_for(user: Any, settings: Settings, started: StartedTurn, prompt: Prompt) -> SiteContext | None:
    """What asks for the context of this turn; None without `CONTEXT`. Called in the thread of the request."""
    if not settings.context or is_asking.get():
        return None
    query = ContextQuery(
        user=user,
        thread=prompt.thread,
        question="" if started.opens else prompt.question[prompt.unanswered_length :],
        purpose=prompt.purpose,
        metadata=prompt.metadata,
        language=get_language() or "",
    )
    turn = started.turn if started.thread else ""
    return SiteContext(settings=settings, query=query, turn=turn, tenant=tenants.current())


def as_message(texts: Sequence[ContextText], key: str, limit: int) -> Message | None:
    """The texts with marks around each, the first ones if not all fit into so many characters; None without any."""
    text, data, is_tainted = "", [], False
    for one in texts:
        shown = _with_source(one)
        if limit < min(SHORTEST, len(shown)):
            break
        shown = text_within(shown, limit)
        limit -= len(shown)
        part = framed(shown, key, is_trusted=one.trusted)
        text = f"{text}\n\n{part}" if text else part
        begin, end = data_in(part)
        data.append((len(text) - len(part) + begin, len(text) - len(part) + end))
        is_tainted = is_tainted or not one.trusted
    return Message(role="user", text=text, data=tuple(data), is_tainted=is_tainted) if text else None


def _with_source(one: ContextText) -> str:
    source = " ".join(str(one.source).split())[:SOURCE_LENGTH]
    return whole_characters(f"Source: {source}\n{one.text}" if source else one.text)


def _keep_taint(turn: str, texts: Sequence[ContextText]) -> None:
    """Store that the turn is tainted, before a model gets to know of the texts."""
    if not turn or all(one.trusted for one in texts):
        return
    try:
        is_there = taint.mark(turn)
    except Error as error:
        raise DatabaseUnavailable(f"It could not be stored that a turn is tainted: {type(error).__name__}") from error
    if not is_there:
        raise TurnInterrupted
