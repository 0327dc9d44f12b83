"""How a question becomes a turn: what the model is told of it, what it may cost, and who keeps what becomes of it."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry, users
from waldur_chat.conf import Settings
from waldur_chat.engine import running_turns
from waldur_chat.engine.keeping import Recorder
from waldur_chat.errors import BudgetExhausted, IdempotencyKeyReused, ThreadBusy, ThreadNotFound
from waldur_chat.messages import Message, Question
from waldur_chat.models import SystemPromptVersion
from waldur_chat.store.budgets import accounts
from waldur_chat.store.conversations import system_prompts
from waldur_chat.store.turns import begin as begin_turns
from waldur_chat.store.turns import finish, leases, preflight, replays
from waldur_chat.store.turns.begin import Reservation, StartedTurn, SystemPromptText
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns import titles
from waldur_chat.turns.recorder import TurnRecorder

USUAL_OUTPUT_TOKENS = 4096
"""What an answer may have where its provider has no limit of its own, and tokens are limited."""

WAIT_SECONDS = 5.0
"""How long a question waits for the end of the turn that it takes the place of."""

PAUSE_SECONDS = 0.05
"""How often it looks whether that has ended."""


def before(question: Question, user: Any, key: str) -> Replay | None:
    """The turn that a request with this key has begun. Raises `IdempotencyKeyReused` where it was another question."""
    replay = replays.of_key(user, key)
    if replay and replay.fingerprint != fingerprint(question):
        raise IdempotencyKeyReused
    return replay


def fingerprint(question: Question) -> str:
    """Tells questions apart."""
    asked: tuple[Any, ...] = (question.text, question.thread, question.mode, question.edited)
    if question.metadata:
        asked = (*asked, json.dumps(question.metadata, sort_keys=True))
    return sha256(repr(asked).encode()).hexdigest()


def begin(question: Question, settings: Settings, user: Any | None, key: str = "") -> StartedTurn | Replay:
    """What the model is told, and what was written of it before; or the turn that the same request has begun meanwhile.

    Raises what `store.turns.begin()` raises.
    """
    is_anonymous = user is not None and not users.is_known(user)
    if is_anonymous and (question.thread or question.names):
        raise ThreadNotFound
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        preflight_data = preflight.load(user) if user else preflight.NOTHING
        told = _told(settings, system_prompts.active() if preflight_data.has_prompt else None)
        limited = (
            accounts.accounts(user, settings)
            if user and (preflight_data.has_limits or accounts.limit_all(settings))
            else []
        )
        promise = _promise(question, settings, is_limited=bool(limited))
        if user is None or not (settings.storage or limited):
            return StartedTurn(turn="", opens=question.text is None, messages=_alone(question, settings, told))
        try:
            accounts.check(promise.output_tokens, limited, settings)
            if not settings.storage or question.names or is_anonymous:
                alone = _alone(question, settings, told)
                begun = begin_turns.begin_unstored(user, alone, settings, promise, limited, question.names)
                return replace(begun, opens=question.text is None)
            told_apart = fingerprint(question) if key else ""
            request = begin_turns.Request(key=key or None, fingerprint=told_apart, session=preflight_data.session)
            return begin_turns.begin(user, question, settings, promise, limited, told, request)
        except (BudgetExhausted, ThreadBusy) as refusal:
            if key and (replay := before(question, user, key)):
                return replay
            if not _makes_room(refusal, user, settings) or time.monotonic() > deadline:
                raise


def recorder(begun: StartedTurn) -> Recorder | None:
    """Who keeps the turn; None where it leaves nothing behind."""
    return TurnRecorder(begun) if begun.turn else None


def _alone(question: Question, settings: Settings, told: SystemPromptText) -> tuple[Message, ...]:
    """The prompt of a question that belongs to no conversation."""
    text = settings.opening_prompt if question.text is None else question.text
    system = (Message(role="system", text=told.text),) if told.text else ()
    return (*system, Message(role="user", text=text))


def _told(settings: Settings, version: SystemPromptVersion | None) -> SystemPromptText:
    """The system prompt: that of the settings, then the one that staff have made active."""
    parts = [settings.system_prompt, version.custom_instructions if version else ""]
    filled = [system_prompts.filled(part, settings.assistant_name, settings.organization) for part in parts if part]
    return SystemPromptText(text="\n\n".join(filled), version=version)


def _promise(question: Question, settings: Settings, *, is_limited: bool) -> Reservation:
    promise = _limits(settings) if is_limited else Reservation()
    if question.text is None or not (settings.storage and settings.titles):
        return promise
    if titles.can_be_asked_for(settings):
        return replace(promise, title_tokens=titles.worst_case())
    return replace(promise, first_words=titles.first_words(question.text))


def _limits(settings: Settings) -> Reservation:
    """The most tokens that an answer can have; a provider that cannot be made will give none."""
    limits = []
    for spec in settings.chain:
        with suppress(ImproperlyConfigured):
            limits.append(registry.build(spec).max_output_tokens)
    most = max((limit or USUAL_OUTPUT_TOKENS for limit in limits), default=0)
    return Reservation(output_tokens=most, is_kept=None not in limits)


def _makes_room(refusal: BudgetExhausted | ThreadBusy, user: Any, settings: Settings) -> bool:
    """Whether it is worth trying again: what was in the way is of a dead process, or is to be stopped."""
    if isinstance(refusal, BudgetExhausted):
        return bool(finish.end_abandoned(**({"user_id": user.pk} if refusal.scope == "user" else {})))
    if not refusal.turn or finish.end_abandoned(uuid=refusal.turn):
        return True
    if settings.busy_thread == "refuse":
        return False
    leases.ask_to_cancel_turn(refusal.turn)
    running_turns.cancel(refusal.turn)
    time.sleep(PAUSE_SECONDS)
    return True
