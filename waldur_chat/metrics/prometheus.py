"""The observer that keeps Prometheus metrics. Imported only where they are switched on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar, cast
from weakref import WeakSet

from prometheus_client import Gauge

from waldur_chat.errors import BudgetExhausted, ChatError, TurnInterrupted
from waldur_chat.events import Usage
from waldur_chat.metrics import families
from waldur_chat.metrics.observer import Observer
from waldur_chat.record import TurnRecord

logger = logging.getLogger("waldur_chat.metrics")

MOST_MODELS = 100
"""How many pairs of provider and model have labels of their own in one process."""

OTHER = "other"

T = TypeVar("T", bound=Callable[..., None])


def _harmless(method: T) -> T:
    """What cannot be kept, on a full disk for example, is logged and breaks no turn."""

    @wraps(method)
    def guarded(*arguments: Any, **keywords: Any) -> None:
        try:
            method(*arguments, **keywords)
        except Exception as error:
            logger.error("A metric was not kept: %s", type(error).__name__)

    return cast("T", guarded)


class PrometheusObserver(Observer):
    """Keeps metrics in the default registry; see `families`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: set[tuple[str, str]] = set()
        self._open: dict[str, WeakSet[Any]] = {}

    @_harmless
    def turn_ended(self, record: TurnRecord) -> None:
        service = self._service(record.provider, record.model)
        families.TURNS.labels(record.purpose, *service, record.status, record.code).inc()
        self._count_attempts(record)
        self._count_tokens(record.purpose, service, record.usage)
        if record.seconds is not None:
            families.TURN_SECONDS.labels(*service).observe(record.seconds)
        if record.first_event_seconds is not None:
            families.FIRST_TOKEN_SECONDS.labels(*service).observe(record.first_event_seconds)
        if record.times is not None:
            self._observe_times(record.times, service)

    @_harmless
    def title_ended(self, record: TurnRecord, usage: Usage | None) -> None:
        service = self._service(record.provider, record.model)
        families.TURNS.labels("title", *service, "finished", "").inc()
        self._count_attempts(record)
        self._count_tokens("title", service, usage)

    @_harmless
    def turn_interrupted(self, purpose: str, model: str, usage: Usage) -> None:
        service = self._service("", model)
        families.TURNS.labels(purpose, *service, "interrupted", TurnInterrupted.code).inc()
        self._count_tokens(purpose, service, usage)

    @_harmless
    def turn_refused(self, error: ChatError) -> None:
        families.REFUSED.labels(error.code).inc()
        if isinstance(error, BudgetExhausted):
            families.BUDGET_REFUSALS.labels(error.scope, error.period).inc()

    @_harmless
    def request_refused(self, code: str) -> None:
        families.REFUSED.labels(code).inc()

    def waiting(self) -> Any:
        return _held(families.WAITING)

    def running(self) -> Any:
        return _held(families.RUNNING)

    @_harmless
    def tool_called(self, tool: str, outcome: str, seconds: float | None = None) -> None:
        families.TOOL_CALLS.labels(tool, outcome).inc()
        if seconds is not None:
            families.TOOL_SECONDS.labels(tool).observe(seconds)

    @_harmless
    def stream_rejoined(self, source: str) -> None:
        families.REJOINED.labels(source).inc()

    @_harmless
    def breaker_changed(self, provider: str, breaker: object, *, is_open: bool) -> None:
        with self._lock:
            # Weak: a breaker that was open when its settings changed is gone with them.
            breakers = self._open.setdefault(provider, WeakSet())
            (breakers.add if is_open else breakers.discard)(breaker)
            families.OPEN_BREAKERS.labels(provider).set(len(breakers))

    def _count_attempts(self, record: TurnRecord) -> None:
        for attempt in record.attempts:
            families.ATTEMPTS.labels(attempt.provider, attempt.code).inc()

    def _count_tokens(self, purpose: str, service: tuple[str, str], usage: Usage | None) -> None:
        if usage is not None:
            labels = (purpose, *service)
            estimated = str(usage.estimated).lower()
            families.TOKENS.labels(*labels, "input", estimated).inc(usage.input_tokens)
            families.TOKENS.labels(*labels, "output", estimated).inc(usage.output_tokens)

    def _observe_times(self, times: Any, service: tuple[str, str]) -> None:
        families.OWN_SECONDS.observe(times.own_seconds)
        if times.gaps:
            families.MEAN_GAP_SECONDS.labels(*service).observe(times.gap_seconds / times.gaps)
            families.LONGEST_GAP_SECONDS.labels(*service).observe(times.longest_gap)

    def _service(self, provider: str, model: str) -> tuple[str, str]:
        """Provider and model as labels. What comes after `MOST_MODELS` is all the same."""
        service = (provider, model[:100])
        with self._lock:
            if len(self._services) < MOST_MODELS:
                self._services.add(service)
            return service if service in self._services else (OTHER, OTHER)


@contextmanager
def _held(gauge: Gauge) -> Iterator[None]:
    """Count one more in this context."""
    _change(gauge, 1)
    try:
        yield
    finally:
        _change(gauge, -1)


@_harmless
def _change(gauge: Gauge, by: int) -> None:
    gauge.inc(by)
