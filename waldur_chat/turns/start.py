"""How a question becomes a turn: admit, preflight, reserve and write, run."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from waldur_chat import registry, users
from waldur_chat.conf import Settings
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import BudgetExhausted, ChatNotConfigured, IdempotencyKeyReused, ThreadBusy, ThreadNotFound
from waldur_chat.messages import Message, Prompt, Question
from waldur_chat.models import SystemPromptVersion
from waldur_chat.record import Caller
from waldur_chat.store.budgets import accounts
from waldur_chat.store.conversations import system_prompts
from waldur_chat.store.turns import begin, preflight, replays
from waldur_chat.store.turns.begin import IdempotencyInfo, Reservation, StartedTurn, SystemPromptText
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns import titles
from waldur_chat.turns.cancel import make_room
from waldur_chat.turns.lifecycle import TurnLifecycle
from waldur_chat.turns.resume import TurnSubscription

USUAL_OUTPUT_TOKENS = 4096
"""What an answer may have where its provider has no limit of its own, and tokens are limited."""

WAIT_SECONDS = 5.0
"""How long a question waits for the end of the turn that it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A question, who asks it, and under which settings. `key` is its Idempotency-Key, empty where it has none.

    Without a user, as in the host's own code, nothing is stored and nothing is limited. Of an anonymous user, who has
    no primary key, nothing is stored either, and nobody can come back to it; it counts in the site's budget.
    """

    question: Question
    settings: Settings
    caller: Caller
    user: Any | None = None
    key: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether the user is one that nobody knows."""
        return self.user is not None and not users.is_known(self.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is known before anything is written: the system prompt, the accounts that limit it, what it may use."""

    system: SystemPromptText
    limited: list[accounts.Account]
    reservation: Reservation
    session: int | None


def start(request: TurnRequest) -> Turn | TurnSubscription:
    """A turn that is ready to run; or a subscription to the one that the same request has begun before.

    Raises `ChatNotConfigured` where there is no provider, `TooManyTurns` and `ChatBusy` where there is no room,
    `BudgetExhausted` where it would cost too much, `IdempotencyKeyReused` where its key was another question's;
    `ThreadNotFound`, `ThreadBusy` and `QuestionRefused` of a question within a conversation.
    """
    earlier = admit(request)
    deadline = time.monotonic() + WAIT_SECONDS
    while earlier is None:
        try:
            started = reserve_and_write(request, make_plan(request))
        except (BudgetExhausted, ThreadBusy) as refusal:
            earlier = find_by_idempotency_key(request)
            if earlier is None and not _can_try_again(request, refusal, deadline):
                raise
        else:
            return run(request, started)
    return TurnSubscription(earlier)


def admit(request: TurnRequest) -> Replay | None:
    """Refuse what cannot run here; tell the turn that the same request has begun before, if any."""
    if not request.settings.chain:
        raise ChatNotConfigured("There is no default provider.")
    if request.is_anonymous and (request.question.thread or request.question.names):
        raise ThreadNotFound
    if earlier := find_by_idempotency_key(request):
        return earlier
    limiter_of_process().check(request.caller.user_id, request.settings)
    return None


def make_plan(request: TurnRequest) -> _Plan:
    """One query for everything that the turn may depend on, and what follows from it."""
    settings, user = request.settings, request.user
    found = preflight.load(user) if user else preflight.EMPTY
    is_limited = bool(user) and (found.has_limits or accounts.has_default_limits(settings))
    limited = accounts.limited_accounts(user, settings) if is_limited else []
    return _Plan(
        system=_system_prompt(settings, system_prompts.active() if found.has_prompt else None),
        limited=limited,
        reservation=_reservation(request.question, settings, is_limited=bool(limited)),
        session=found.session,
    )


def reserve_and_write(request: TurnRequest, plan: _Plan) -> StartedTurn:
    """Reserve the tokens, and write the turn with its question in the same transaction, as far as anything is stored.

    Raises what `store.turns.begin` raises.
    """
    question, settings, user = request.question, request.settings, request.user
    if user is None or not (settings.storage or plan.limited):
        messages = _alone(question, settings, plan.system)
        return StartedTurn(turn="", opens=question.text is None, messages=messages)
    accounts.check_available(plan.reservation.output_tokens, plan.limited, settings)
    if not settings.storage or question.names or request.is_anonymous:
        messages = _alone(question, settings, plan.system)
        started = begin.begin_unstored(user, messages, settings, plan.reservation, plan.limited, question.names)
        return replace(started, opens=question.text is None)
    told_apart = fingerprint(question) if request.key else ""
    info = IdempotencyInfo(key=request.key or None, fingerprint=told_apart, session=plan.session)
    return begin.begin_stored(user, question, settings, plan.reservation, plan.limited, plan.system, info)


def run(request: TurnRequest, started: StartedTurn) -> Turn:
    """The turn, which the caller starts on its event loop."""
    prompt = Prompt(
        messages=started.messages,
        opens=started.opens,
        request_id=request.caller.request_id,
        connect_seconds=request.settings.connect_seconds,
        metadata=request.question.metadata,
    )
    return Turn(request.settings, prompt, TurnLifecycle(request.settings, request.caller, started))


def find_by_idempotency_key(request: TurnRequest) -> Replay | None:
    """The turn that this user's request with this key has begun, if any.

    Raises `IdempotencyKeyReused` where that was another question.
    """
    if not request.key or request.user is None or request.is_anonymous:
        return None
    replay = replays.find_by_key(request.user, request.key)
    if replay and replay.fingerprint != fingerprint(request.question):
        raise IdempotencyKeyReused
    return replay


def fingerprint(question: Question) -> str:
    """Tells questions apart."""
    asked: tuple[Any, ...] = (question.text, question.thread, question.mode, question.edited)
    if question.metadata:
        asked = (*asked, json.dumps(question.metadata, sort_keys=True))
    return sha256(repr(asked).encode()).hexdigest()


def _can_try_again(request: TurnRequest, refusal: BudgetExhausted | ThreadBusy, deadline: float) -> bool:
    return make_room(refusal, request.user, request.settings) and time.monotonic() <= deadline


def _alone(question: Question, settings: Settings, system: SystemPromptText) -> tuple[Message, ...]:
    """The messages of a question that belongs to no conversation."""
    text = settings.opening_prompt if question.text is None else question.text
    first = (Message(role="system", text=system.text),) if system.text else ()
    return (*first, Message(role="user", text=text))


def _system_prompt(settings: Settings, version: SystemPromptVersion | None) -> SystemPromptText:
    """That of the settings, then the one that staff have made active."""
    parts = [settings.system_prompt, version.custom_instructions if version else ""]
    filled = [
        system_prompts.fill_placeholders(part, settings.assistant_name, settings.organization) for part in parts if part
    ]
    return SystemPromptText(text="\n\n".join(filled), version=version)


def _reservation(question: Question, settings: Settings, *, is_limited: bool) -> Reservation:
    reservation = _limits(settings) if is_limited else Reservation()
    if question.text is None or not (settings.storage and settings.titles):
        return reservation
    if titles.can_be_asked_for(settings):
        return replace(reservation, title_tokens=titles.worst_case())
    return replace(reservation, first_words=titles.first_words(question.text))


def _limits(settings: Settings) -> Reservation:
    """The most tokens that an answer can have; a provider that cannot be made will give none."""
    limits = []
    for spec in settings.chain:
        with suppress(ImproperlyConfigured):
            limits.append(registry.build(spec).max_output_tokens)
    most = max((limit or USUAL_OUTPUT_TOKENS for limit in limits), default=0)
    return Reservation(output_tokens=most, is_enforced=None not in limits)
