"""Starts a turn for a question: admit, preflight, reserve and write, run."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError

from waldur_chat import registry, users
from waldur_chat.conf import Settings
from waldur_chat.engine.limiter import limiter_of_process
from waldur_chat.engine.turn import Turn
from waldur_chat.errors import (
    BudgetExhausted,
    ChatNotConfigured,
    IdempotencyKeyReused,
    StorageFailed,
    ThreadBusy,
    ThreadNotFound,
    ToolCallDecided,
)
from waldur_chat.events import MOST_TOKENS
from waldur_chat.messages import Message, Prompt
from waldur_chat.models import SystemPromptVersion
from waldur_chat.runtime import tenants
from waldur_chat.store import support
from waldur_chat.store.budgets import accounts, reservations, token_estimates
from waldur_chat.store.budgets.reservations import Reservation
from waldur_chat.store.conversations import system_prompts
from waldur_chat.store.turns import begin, preflight, replays, request_rates
from waldur_chat.store.turns.begin import IdempotencyInfo, StartedTurn, SystemPromptText
from waldur_chat.store.turns.calls import taint
from waldur_chat.store.turns.history import merge_consecutive
from waldur_chat.store.turns.replays import Replay
from waldur_chat.turns import titles
from waldur_chat.turns.cancel import remove_obstacle
from waldur_chat.turns.context.source import source_for
from waldur_chat.turns.lifecycle import TurnLifecycle
from waldur_chat.turns.resume import TurnSubscription
from waldur_chat.turns.tools.offering import Offered, counted, offer, offer_none
from waldur_chat.turns.turn_request import TurnRequest, fingerprint

logger = logging.getLogger("waldur_chat.lifecycle")

WAIT_SECONDS = 5.0
"""How long a question waits for the end of the turn that it replaces."""

STORE_ATTEMPTS = 3
"""How often a question is written if the database refuses it, but what was in the way has gone meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is determined before anything is written: system prompt, limiting accounts, reservation, session, tools."""

    system: SystemPromptText
    limited: list[accounts.Account]
    reservation: Reservation
    session: int | None
    tools: Offered | None


def start(request: TurnRequest) -> Turn | TurnSubscription:
    """Return a turn that is ready to run, or a subscription to the turn that the same request started before.

    Raises `ChatNotConfigured` if there is no provider, `TooManyTurns` and `ChatBusy` if there is no room,
    `BudgetExhausted` if the tokens do not suffice, `IdempotencyKeyReused` if the key belongs to another question;
    `ThreadNotFound`, `ThreadBusy` and `InvalidQuestion` for a question within a conversation; `ToolCallNotFound` and
    `ToolCallDecided` for a decision; `StorageFailed`.
    """
    earlier = admit(request)
    deadline, attempts = time.monotonic() + WAIT_SECONDS, 0
    while earlier is None:
        try:
            plan = make_plan(request)
            started = reserve_and_write(request, plan)
        except (BudgetExhausted, ThreadBusy, ToolCallDecided) as refusal:
            # The same request may have started its turn meanwhile, in another process.
            earlier = find_by_idempotency_key(request)
            if earlier is None and not _can_try_again(request, refusal, deadline):
                raise
        except IntegrityError as error:
            attempts += 1
            if attempts == STORE_ATTEMPTS:
                raise _storage_failed(error) from error
        else:
            return run(request, started, plan.tools)
    return TurnSubscription(earlier)


def admit(request: TurnRequest) -> Replay | None:
    """Refuse a request that cannot run here. Returns the turn that the same request started before, if any."""
    if not request.settings.chain:
        raise ChatNotConfigured("There is no default provider.")
    if request.is_anonymous and (request.question.thread or request.question.names):
        raise ThreadNotFound
    if earlier := find_by_idempotency_key(request):
        return earlier
    user = tenants.qualified(request.caller.user_id, tenants.current())
    limiter_of_process().check(user, request.settings)
    if request.user is not None and request.settings.requests_per_minute is not None:
        request_rates.count(request.settings.requests_per_minute)
    return None


def make_plan(request: TurnRequest) -> _Plan:
    """Load everything that the turn depends on with one query, and derive the plan.

    Raises `ChatNotConfigured` if the turn must be stored or limited, and the database cannot do that.
    """
    settings, user = request.settings, request.user
    known = preflight.load(user) if user else preflight.EMPTY
    is_limited = bool(user) and (known.has_limits or accounts.has_default_limits(settings))
    if user and (settings.storage or is_limited) and (obstacle := support.obstacle(known.schema)):
        logger.error("The chat cannot work: %s, or set STORAGE to False and no limits of tokens.", obstacle)
        raise ChatNotConfigured(obstacle)
    limited = accounts.limited_accounts(user, settings) if is_limited else []
    question = request.question
    has_tools = user is not None and not question.names and not request.options.correction
    tools = offer(user, settings, request.tool_caller, question.thread) if has_tools else None
    if tools is None and question.decision:
        tools = offer_none(request.tool_caller)
    return _Plan(
        system=_system_prompt(request, system_prompts.active() if known.has_prompt else None),
        limited=limited,
        reservation=_reservation(request, tools, is_limited=bool(limited)),
        session=known.session,
        tools=tools,
    )


def reserve_and_write(request: TurnRequest, plan: _Plan) -> StartedTurn:
    """Reserve tokens and write the turn with its question in one transaction, as far as anything is stored.

    Raises the errors of `store.turns.begin`.
    """
    question, settings, user = request.question, request.settings, request.user
    if user is None or not (settings.storage or plan.limited):
        messages = _standalone_messages(request, plan.system)
        return StartedTurn(turn="", opens=question.text is None, messages=messages)
    if plan.limited:
        shortest = plan.reservation.size_of(_standalone_messages(request, plan.system))
        reservations.check_available(plan.reservation.estimate.input_tokens(shortest) + 1, plan.limited, settings)
    if not settings.storage or question.names or request.is_anonymous or request.options.history is not None:
        messages = _standalone_messages(request, plan.system)
        started = begin.begin_unstored(user, messages, settings, plan.reservation, plan.limited, question.names)
        return replace(started, opens=question.text is None)
    request_fingerprint = fingerprint(question) if request.key else ""
    info = IdempotencyInfo(key=request.key or None, fingerprint=request_fingerprint, session=plan.session)
    return begin.begin_stored(user, question, settings, plan.reservation, plan.limited, plan.system, info)


def run(request: TurnRequest, started: StartedTurn, tools: Offered | None = None) -> Turn:
    """Return the turn, which the caller starts on its event loop."""
    runner = tools.runner(request.user, started, request.settings) if tools else None
    options, user, question = request.options, request.user, request.question
    prompt = Prompt(
        messages=options.corrected(started.messages),
        opens=started.opens,
        request_id=request.caller.request_id,
        connect_seconds=request.settings.connect_seconds,
        # What is left of the budget, so that the model itself keeps within it.
        max_output_tokens=started.reserved.output_limit if started.reserved else options.max_output_tokens,
        answer_max_length=request.settings.answer_max_length,
        metadata=question.metadata,
        unanswered_length=started.unanswered_length,
        is_shortened=started.is_shortened,
        tools=runner.specs if runner else (),
        answer_schema=options.schema,
        user_id=str(user.pk) if user is not None and users.is_known(user) else request.caller.user_id,
        thread=question.names.hex if question.names else started.thread,
        purpose="title" if question.names else "answer",
        is_tainted=_is_tainted(request, started, tools),
    )
    titles.stop_search(started.thread)
    lifecycle = TurnLifecycle(request.settings, request.caller, started, prompt, request.times)
    return Turn(request.settings, prompt, lifecycle, runner, source_for(user, request.settings, started, prompt))


def _is_tainted(request: TurnRequest, started: StartedTurn, tools: Offered | None) -> bool:
    """Whether the conversation holds words of strangers already, on sites where these can be there."""
    if not (tools or request.settings.context):
        return False
    if any(message.role == "assistant" for message in request.options.history or ()):
        return True  # The host's code may have it from anywhere.
    if not request.question.thread or not started.thread:
        return False
    return taint.is_tainted(started.thread, tools.trusted if tools else ())


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


def _storage_failed(error: IntegrityError) -> StorageFailed:
    reason = str(error).partition("\n")[0]  # It names the constraint; a second line may quote values.
    logger.error("A question could not be stored: %s. `manage.py chat_doctor` finds sequences that are behind.", reason)
    return StorageFailed(reason)


def _can_try_again(
    request: TurnRequest, refusal: BudgetExhausted | ThreadBusy | ToolCallDecided, deadline: float
) -> bool:
    if isinstance(refusal, ToolCallDecided):
        return False
    settings = request.settings
    if request.question.decision:  # It belongs to the answer that is in the way, and must not stop it.
        settings = replace(settings, busy_thread="refuse")
    return remove_obstacle(refusal, request.user, settings) and time.monotonic() <= deadline


def _standalone_messages(request: TurnRequest, system: SystemPromptText) -> tuple[Message, ...]:
    """The messages of a question without a stored conversation."""
    text = request.settings.opening_prompt if request.question.text is None else request.question.text
    first = [Message(role="system", text=system.text)] if system.text else []
    return merge_consecutive([*first, *(request.options.history or ()), Message(role="user", text=text)])


def _system_prompt(request: TurnRequest, version: SystemPromptVersion | None) -> SystemPromptText:
    """The system prompt of the settings, the active one of staff, and the custom instructions of the settings.

    The host's code may replace all of them.
    """
    if request.options.system is not None:
        return SystemPromptText(text=request.options.system)
    settings = request.settings
    parts = [settings.system_prompt, version.custom_instructions if version else "", settings.custom_instructions]
    texts = [
        system_prompts.fill_placeholders(part, settings.assistant_name, settings.organization) for part in parts if part
    ]
    return SystemPromptText(text="\n\n".join(texts), version=version)


def _reservation(request: TurnRequest, tools: Offered | None, *, is_limited: bool) -> Reservation:
    settings, question, options = request.settings, request.question, request.options
    reservation = Reservation()
    if is_limited:
        besides = (*counted(tools, options.schema), *options.besides)
        reservation = replace(_limits(settings), besides=besides, answer_limit=options.max_output_tokens or MOST_TOKENS)
    if question.text is None or not (settings.storage and settings.titles):
        return reservation
    if titles.can_be_generated(settings):
        return replace(reservation, title_input_tokens=titles.input_tokens(question.text, reservation.estimate))
    return replace(reservation, first_words=titles.first_words(question.text))


def _limits(settings: Settings) -> Reservation:
    """The largest output limit of the providers, and an estimate of tokens for their models.

    A provider that cannot be built will not answer either.
    """
    providers = []
    for spec in settings.chain:
        with suppress(ImproperlyConfigured):
            providers.append(registry.build(spec))
    limits = [provider.max_output_tokens for provider in providers]
    return Reservation(
        estimate=token_estimates.load(provider.model for provider in providers),
        output_tokens=max((limit or 0 for limit in limits), default=0),
        is_enforced=None not in limits,
    )
