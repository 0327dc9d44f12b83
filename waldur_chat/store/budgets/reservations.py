"""Tokens that accounts hold for running turns: what a turn likely needs, and more while its answer is written.

A reservation locks the account's row until its transaction ends, so running turns never hold more than is left. Users'
accounts are locked in the order of their keys, then the site's, which prevents deadlocks. Charging is in `accounts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from waldur_chat.conf import Settings
from waldur_chat.errors import BudgetConflict, BudgetExhausted
from waldur_chat.events import MOST_TOKENS
from waldur_chat.messages import Message
from waldur_chat.models import Budget
from waldur_chat.store.budgets.accounts import Account, used_in
from waldur_chat.store.budgets.periods import resets
from waldur_chat.store.budgets.token_estimates import TokenEstimate
from waldur_chat.text_size import TextSize, measured

RETRY_SECONDS = 5
"""Suggested retry delay if only the reservations of running turns exceed a limit: those are released soon."""

FIRST_OUTPUT_TOKENS = 32
OUTPUT_SHARE = 8
"""Of a turn's tokens so far, an eighth more is reserved for its next output, but at least `FIRST_OUTPUT_TOKENS`."""

ANSWER_TOKENS = 512
"""The room that is left to an answer when its history is shortened, if so much is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """What a turn may reserve, before its prompt is known.

    `output_tokens` is the most that an answer can have, if `is_enforced`: then the providers limit it themselves.
    `title_input_tokens` are those of the prompt for a title (0: no title). `first_words` is the name of a new
    conversation for which no model is asked. `besides` stands for what a prompt has beside its messages: tools, and the
    schema of the answer. `answer_limit` is the most that was asked for.
    """

    estimate: TokenEstimate = field(default_factory=TokenEstimate)
    output_tokens: int = 0
    is_enforced: bool = True
    title_input_tokens: int = 0
    first_words: str = field(default="", repr=False)
    besides: tuple[Message, ...] = field(default=(), repr=False)
    answer_limit: int = MOST_TOKENS

    def size_of(self, messages: Sequence[Message]) -> TextSize:
        """The size of a prompt with these messages."""
        return measured([*messages, *self.besides])

    @property
    def title_tokens(self) -> int:
        """What to hold for a title at first."""
        return self.title_input_tokens and self.title_input_tokens + output_margin(self.title_input_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved:
    """What is held for a turn in the accounts of these scopes: likely `input_tokens`, the rest for its output.

    The answer can have `output_limit` tokens: all that is left, or the provider's limit. `is_enforced` means that the
    provider stops there itself. `bytes_per_token` estimates the answer, `estimate` later prompts of the same turn. All
    rounds together may have `room` tokens, and each later answer `round_limit`.
    """

    tokens: int
    input_tokens: int
    output_limit: int
    is_enforced: bool
    bytes_per_token: float
    scopes: tuple[str, ...]
    estimate: TokenEstimate = field(default_factory=TokenEstimate, repr=False)
    room: int = MOST_TOKENS
    round_limit: int = MOST_TOKENS


def output_margin(tokens: int) -> int:
    """The tokens to hold for the next output of a turn that has used so many."""
    return max(FIRST_OUTPUT_TOKENS, tokens // OUTPUT_SHARE)


def fits(messages: Sequence[Message], reservation: Reservation, limited: Sequence[Account]) -> bool:
    """Whether the accounts, as they were read, have room for this prompt and an answer."""
    if not limited:
        return True
    left = min(room(account, account.row.reserved)[0] for account in limited) - reservation.title_tokens
    return reservation.estimate.input_tokens(reservation.size_of(messages)) + min(ANSWER_TOKENS, left // 2) <= left


def likely(messages: Sequence[Message], reservation: Reservation, limited: Sequence[Account]) -> Reserved | None:
    """What to hold for a turn with this prompt at first; None without limits."""
    if not limited:
        return None
    tokens = reservation.estimate.input_tokens(reservation.size_of(messages))
    # Without what others hold, which they may not need. If they do, it is the turn that ends early.
    left = max(1, min(room(account, 0)[0] for account in limited) - tokens)
    most = min(reservation.answer_limit, reservation.output_tokens if reservation.is_enforced else MOST_TOKENS)
    output_limit = min(left, most)
    return Reserved(
        tokens=min(tokens + min(output_margin(tokens), output_limit), MOST_TOKENS),
        input_tokens=tokens,
        output_limit=output_limit,
        is_enforced=reservation.is_enforced,
        bytes_per_token=reservation.estimate.bytes_per_token,
        scopes=tuple(account.scope for account in limited),
        estimate=reservation.estimate,
        room=tokens + left,
        round_limit=most,
    )


def likely_of_title(reservation: Reservation, answer: Reserved) -> Reserved:
    """What is held for the title beside this answer. Its provider does not stop it at its share."""
    return replace(
        answer, tokens=reservation.title_tokens, input_tokens=reservation.title_input_tokens, is_enforced=False
    )


def check_available(needed: int, limited: Sequence[Account], settings: Settings) -> None:
    """Raise `BudgetExhausted` if `reserve()` would raise it for the accounts as they were read.

    This refuses a burst of requests beyond the limit without a write, which would lock the accounts for all others.
    """
    for account in limited:
        if room(account, account.row.reserved)[0] < needed:
            raise _refusal(account, account.row.reserved, needed, settings)


def reserve(wanted: int, needed: int, limited: Sequence[Account], settings: Settings) -> int:
    """Reserve tokens in all these accounts: as many as wanted, or all that are left, but not less than needed.

    Returns how many. Raises `BudgetExhausted`, which must roll back the transaction.
    """
    tokens = wanted
    for number, account in enumerate(limited):
        # The update locks the row, so the limits are checked against what concurrent turns have reserved or charged.
        _add([account], tokens)
        locked = replace(account, row=Budget.objects.get(pk=account.row.pk))
        missing = -room(locked, locked.row.reserved)[0]
        if tokens - missing < needed:
            raise _refusal(locked, locked.row.reserved - tokens, needed, settings)
        if missing > 0:
            _add(limited[: number + 1], -missing)
            tokens -= missing
    return tokens


def _add(limited: Iterable[Account], tokens: int) -> None:
    for account in limited:
        Budget.objects.filter(pk=account.row.pk).update(reserved=F("reserved") + tokens)


def room(account: Account, reserved: int) -> tuple[int, str]:
    """The tokens that the limits leave beside so many reserved ones (negative if they are exceeded), and the period."""
    used = used_in(account.row, timezone.now())
    return min((limit - used[period] - reserved, period) for period, limit in account.limits.items())


def _refusal(account: Account, reserved: int, needed: int, settings: Settings) -> BudgetExhausted:
    """The error for an account in which others hold so many tokens."""
    error = BudgetExhausted if settings.budget_status == BudgetExhausted.status else BudgetConflict
    left, period = room(account, reserved)
    # If the turn would fit without the reservations of others, room may appear before the period ends.
    wait = _seconds_to_reset(period) if left + reserved < needed else RETRY_SECONDS
    return error(
        scope=account.scope,
        period=period,
        limit=account.limits[period],
        needed=needed,
        left=max(0, left),
        retry_after=wait,
    )


def _seconds_to_reset(period: str) -> int:
    now = timezone.now()
    reset: datetime = getattr(resets(now), period)
    return max(1, math.ceil((reset - now).total_seconds()))
