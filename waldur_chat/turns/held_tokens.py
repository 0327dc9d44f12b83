"""What accounts hold for the running turns of this process: adjusted by the heartbeat, or when a turn waits for more.

What models report of prompts and answers is collected here, too, and stored for later estimates.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waldur_chat.conf import Settings
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.runtime.tenants import PerTenant, Tenant
from waldur_chat.store.budgets import growth, token_estimates
from waldur_chat.store.budgets.growth import Resize
from waldur_chat.store.budgets.reservations import Reserved, output_margin
from waldur_chat.store.budgets.token_estimates import Report
from waldur_chat.text_size import TextSize, measured
from waldur_chat.turns.allowance import OutputAllowance

MOST_REPORTS = 1000
"""How many reports are kept while the database does not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldTokens:
    """What is held for a turn, by its id, under these settings."""

    turn: str
    allowance: OutputAllowance
    scopes: tuple[str, ...]
    settings: Settings


def hold(
    reserved: Reserved | None, turn: str, settings: Settings, counter: UsageCounter, request: Callable[[], None]
) -> HeldTokens | None:
    """What is held for a turn that begins to run with this counter; None without limits. See `OutputAllowance`."""
    if reserved is None:
        return None
    allowance = OutputAllowance(
        counter,
        request,
        reserved=reserved.tokens,
        input_tokens=reserved.input_tokens,
        bytes_per_token=reserved.bytes_per_token,
        most=reserved.input_tokens + reserved.output_limit if reserved.is_enforced else None,
        room=reserved.room,
        output_limit=reserved.round_limit,
        input_estimate=lambda prompt: reserved.estimate.input_tokens(measured(prompt.counted)),
    )
    return HeldTokens(turn=turn, allowance=allowance, scopes=reserved.scopes, settings=settings)


def adjust(turns: Sequence[HeldTokens]) -> None:
    """Let the reservations of these turns grow or shrink to what they need."""
    wanted = [(one, tokens) for one in turns if (tokens := one.allowance.wanted(output_margin)) is not None]
    if not wanted:
        return
    resizes = [Resize(turn=one.turn, tokens=tokens, scopes=one.scopes) for one, tokens in wanted]
    resized = growth.resize(resizes, wanted[-1][0].settings)
    for one, tokens in wanted:
        # A turn that was taken for dead was charged, and holds nothing any more. It may end.
        result = resized.get(one.turn)
        one.allowance.grant(result.tokens if result else tokens, is_last=bool(result and result.is_last))


class ReportLog:
    """The reports of this process and tenant that are not stored yet. Used from any thread."""

    def __init__(self, tenant: Tenant | None = None) -> None:
        self._lock = threading.Lock()
        self._reports: list[Report] = []

    def note(self, model: str, counter: UsageCounter) -> None:
        """Keep what was reported of a turn's prompt and answer, if it was."""
        reports = []
        if prompt := counter.reported_prompt:
            reports.append(Report(model=model, text=prompt[0], tokens=prompt[1]))
        if answer := counter.reported_answer:
            size = TextSize(characters=answer[0], size=answer[0])
            reports.append(Report(model=model, text=size, tokens=answer[1], is_answer=True))
        with self._lock:
            self._reports = (self._reports + reports)[-MOST_REPORTS:]

    def store(self) -> None:
        """Store them."""
        with self._lock:
            reports, self._reports = self._reports, []
        try:
            token_estimates.add(reports)
        except BaseException:
            with self._lock:
                self._reports = (reports + self._reports)[-MOST_REPORTS:]
            raise


reports_of_process = PerTenant(ReportLog)
