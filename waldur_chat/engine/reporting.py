"""Reports turns to operators: one log record at the end of each, metrics, and Django's signals."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.dispatch import Signal

from waldur_chat import signals
from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Failed, Finished, Terminal
from waldur_chat.metrics import observer
from waldur_chat.record import TurnRecord
from waldur_chat.runtime import tenants
from waldur_chat.runtime.tenants import Tenant
from waldur_chat.runtime.worker import Worker

logger = logging.getLogger("waldur_chat.turns")

_worker = Worker("waldur-chat-signals")


def begin(record: TurnRecord, tenant: Tenant | None = None) -> None:
    """Send `turn_started`, to receivers that use the database within the schema of the tenant."""
    _send(signals.turn_started, record, tenant)


def end(record: TurnRecord, terminal: Terminal, seconds: float, tenant: Tenant | None = None) -> None:
    """Complete the record, measure and log it, and send `turn_ended`. A failing log handler does not break the turn."""
    record.seconds, record.usage = seconds, terminal.usage
    match terminal:
        case Finished():
            record.status = "finished"
        case Cancelled():
            record.status, record.code = "cancelled", TurnCancelled.code
        case Failed(error=error):
            record.status, record.code, record.cause = "failed", error.code, str(error)
    observer().turn_ended(record)
    level = logging.WARNING if record.status == "failed" else logging.INFO
    if logger.isEnabledFor(level):
        fields = _fields(record)
        message = " ".join([f"{name}={value}" for name, value in fields.items() if value not in ("", None)])
        # The handlers and their formatters are the host's.
        with suppress(Exception):
            logger.log(level, message, extra=fields)
    _send(signals.turn_ended, record, tenant)


def _fields(record: TurnRecord) -> dict[str, Any]:
    return {
        "turn": record.turn,
        "request_id": record.request_id,
        "user_id": record.user_id,
        "impersonator_id": record.impersonator_id,
        "thread_uuid": record.thread,  # LogRecord has "thread", and logging refuses to overwrite it.
        "provider": record.provider,
        "model": record.model,
        "status": record.status,
        "code": record.code,
        "first_event_seconds": _rounded(record.first_event_seconds),
        "seconds": _rounded(record.seconds),
        "input_tokens": record.usage.input_tokens if record.usage else None,
        "output_tokens": record.usage.output_tokens if record.usage else None,
        "usage_estimated": record.usage.estimated if record.usage else None,
        "attempts": len(record.attempts),
        "failed_attempts": ",".join(f"{one.provider}:{one.code}" for one in record.attempts if one.code),
        "cause": record.cause,
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _send(signal: Signal, record: TurnRecord, tenant: Tenant | None) -> None:
    """Send receivers a copy of the record, in the worker's thread: no turn waits for them."""
    if signal.has_listeners(TurnRecord):
        snapshot = replace(record, attempts=[*record.attempts])
        _worker.submit(tenants.run_within, tenant, partial(signal.send_robust, sender=TurnRecord, turn=snapshot))
