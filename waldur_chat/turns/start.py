"""Starts a turn for a question: admit, preflight, reserve and write, run."""

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
from waldur_chat.turns.cancel import remove_obstacle
from waldur_chat.turns.lifecycle import TurnLifecycle
from waldur_chat.turns.resume import TurnSubscription

USUAL_OUTPUT_TOKENS = 4096
"""The reservation for an answer of a provider without a limit of its own."""

WAIT_SECONDS = 5.0
"""How long a question waits for the end of the turn that it replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """A question, its user and its settings. `key` is the Idempotency-Key, empty if there is none.

    Without a user, as in the host's own code, nothing is stored or limited. For an anonymous user, who has no primary
    key, nothing is stored and the turn cannot be resumed; its usage counts in the site's budget.
    """

    question: Question
    settings: Settings
    caller: Caller
    user: Any | None = None
    key: str = ""

    @property
    def is_anonymous(self) -> bool:
        """Whether the user has no primary key."""
        return self.user is not None and not users.is_known(self.user)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is determined before anything is written: system prompt, limiting accounts, reservation, session."""

    system: SystemPromptText
    limited: list[accounts.Account]
    reservation: Reservation
    session: int | None


def start(request: TurnRequest) -> Turn | TurnSubscription:
    """Return a turn that is ready to run, or a subscription to the turn that the same request started before.

    Raises `ChatNotConfigured` if there is no provider, `TooManyTurns` and `ChatBusy` if there is no room,
    `BudgetExhausted` if the tokens do not suffice, `IdempotencyKeyReused` if the key belongs to another question;
    `ThreadNotFound`, `ThreadBusy` and `QuestionRefused` for a question within a conversation.
    """
    earlier = admit(request)
    deadline = time.monotonic() + WAIT_SECONDS
    while earlier is None:
        try:
            started = reserve_and_write(request, make_plan(request))
        except (BudgetExhausted, ThreadBusy) as refusal:
            # The same request may have started its turn meanwhile, in another process.
            earlier = find_by_idempotency_key(request)
            if earlier is None and not _can_try_again(request, refusal, deadline):
                raise
        else:
            return run(request, started)
    return TurnSubscription(earlier)


def admit(request: TurnRequest) -> Replay | None:
    """Refuse a request that cannot run here. Returns the turn that the same request started before, if any."""
    if not request.settings.chain:
        raise ChatNotConfigured("There is no default provider.")
    if request.is_anonymous and (request.question.thread or request.question.names):
        raise ThreadNotFound
    if earlier := find_by_idempotency_key(request):
        return earlier
    limiter_of_process().check(request.caller.user_id, request.settings)
    return None


def make_plan(request: TurnRequest) -> _Plan:
    """Load everything that the turn depends on with one query, and derive the plan."""
    settings, user = request.settings, request.user
    known = preflight.load(user) if user else preflight.EMPTY
    is_limited = bool(user) and (known.has_limits or accounts.has_default_limits(settings))
    limited = accounts.limited_accounts(user, settings) if is_limited else []
    return _Plan(
        system=_system_prompt(settings, system_prompts.active() if known.has_prompt else None),
        limited=limited,
        reservation=_reservation(request.question, settings, is_limited=bool(limited)),
        session=known.session,
    )


def reserve_and_write(request: TurnRequest, plan: _Plan) -> StartedTurn:
    """Reserve tokens and write the turn with its question in one transaction, as far as anything is stored.

    Raises the errors of `store.turns.begin`.
    """
    question, settings, user = request.question, request.settings, request.user
    if user is None or not (settings.storage or plan.limited):
        messages = _standalone_messages(question, settings, plan.system)
        return StartedTurn(turn="", opens=question.text is None, messages=messages)
    accounts.check_available(plan.reservation.output_tokens, plan.limited, settings)
    if not settings.storage or question.names or request.is_anonymous:
        messages = _standalone_messages(question, settings, plan.system)
        started = begin.begin_unstored(user, messages, settings, plan.reservation, plan.limited, question.names)
        return replace(started, opens=question.text is None)
    request_fingerprint = fingerprint(question) if request.key else ""
    info = IdempotencyInfo(key=request.key or None, fingerprint=request_fingerprint, session=plan.session)
    return begin.begin_stored(user, question, settings, plan.reservation, plan.limited, plan.system, info)


def run(request: TurnRequest, started: StartedTurn) -> Turn:
    """Return the turn, which the caller starts on its event loop."""
    prompt = Prompt(
        messages=started.messages,
        opens=started.opens,
        request_id=request.caller.request_id,
        connect_seconds=request.settings.connect_seconds,
        metadata=request.question.metadata,
    )
    return Turn(request.settings, prompt, TurnLifecycle(request.settings, request.caller, started))


def find_by_idempotency_key(request: TurnRequest) -> Replay | None:
    """Return the turn that this user started with this key, if any.

    Raises `IdempotencyKeyReused` if that was another question.
    """
    if not request.key or request.user is None or request.is_anonymous:
        return None
    replay = replays.find_by_key(request.user, request.key)
    if replay and replay.fingerprint != fingerprint(request.question):
        raise IdempotencyKeyReused
    return replay


def fingerprint(question: Question) -> str:
    """Return a digest that distinguishes questions."""
    content: tuple[Any, ...] = (question.text, question.thread, question.mode, question.edited)
    if question.metadata:
        content = (*content, json.dumps(question.metadata, sort_keys=True))
    return sha256(repr(content).encode()).hexdigest()


def _can_try_again(request: TurnRequest, refusal: BudgetExhausted | ThreadBusy, deadline: float) -> bool:
    return remove_obstacle(refusal, request.user, request.settings) and time.monotonic() <= deadline


def _standalone_messages(question: Question, settings: Settings, system: SystemPromptText) -> tuple[Message, ...]:
    """The messages of a question without a conversation."""
    text = settings.opening_prompt if question.text is None else question.text
    first = (Message(role="system", text=system.text),) if system.text else ()
    return (*first, Message(role="user", text=text))


def _system_prompt(settings: Settings, version: SystemPromptVersion | None) -> SystemPromptText:
    """The system prompt of the settings, followed by the active one of staff."""
    parts = [settings.system_prompt, version.custom_instructions if version else ""]
    texts = [
        system_prompts.fill_placeholders(part, settings.assistant_name, settings.organization) for part in parts if part
    ]
    return SystemPromptText(text="\n\n".join(texts), version=version)


def _reservation(question: Question, settings: Settings, *, is_limited: bool) -> Reservation:
    reservation = _limits(settings) if is_limited else Reservation()
    if question.text is None or not (settings.storage and settings.titles):
        return reservation
    if titles.can_be_generated(settings):
        return replace(reservation, title_tokens=titles.worst_case())
    return replace(reservation, first_words=titles.first_words(question.text))


def _limits(settings: Settings) -> Reservation:
    """Return the largest output limit of the providers; one that cannot be built will not answer either."""
    limits = []
    for spec in settings.chain:
        with suppress(ImproperlyConfigured):
            limits.append(registry.build(spec).max_output_tokens)
    output_tokens = max((limit or USUAL_OUTPUT_TOKENS for limit in limits), default=0)
    return Reservation(output_tokens=output_tokens, is_enforced=None not in limits)
