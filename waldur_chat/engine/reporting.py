"""Tells operators about turns: one log record for each, at its end, and Django's signals."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.dispatch import Signal

from waldur_chat import signals
from waldur_chat.errors import TurnCancelled
from waldur_chat.events import Cancelled, Failed, Finished, Terminal
from waldur_chat.record import TurnRecord

logger = logging.getLogger("waldur_chat.turns")


async def announce(record: TurnRecord) -> None:
    """The turn has begun."""
    await _send(signals.turn_started, record)


async def conclude(record: TurnRecord) -> None:
    """The turn has ended, and its reader was told."""
    await _send(signals.turn_ended, record)


def end(record: TurnRecord, terminal: Terminal, seconds: float) -> None:
    """Complete the record, and log it. A log that cannot be written does not break the turn."""
    record.seconds, record.usage = seconds, terminal.usage
    match terminal:
        case Finished():
            record.status = "finished"
        case Cancelled():
            record.status, record.code = "cancelled", TurnCancelled.code
        case Failed(error=error):
            record.status, record.code = "failed", error.code
    fields = _fields(record)
    words = " ".join(f"{name}={value}" for name, value in fields.items() if value not in ("", None))
    with suppress(Exception):
        logger.log(logging.WARNING if record.status == "failed" else logging.INFO, words, extra=fields)


def _fields(record: TurnRecord) -> dict[str, Any]:
    return {
        "turn": record.turn,
        "request_id": record.request_id,
        "user_id": record.user_id,
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


async def _send(signal: Signal, record: TurnRecord) -> None:
    if signal.has_listeners(TurnRecord):
        await sync_to_async(_send_in_thread, thread_sensitive=False)(signal, record)


def _send_in_thread(signal: Signal, record: TurnRecord) -> None:
    try:
        signal.send_robust(sender=TurnRecord, turn=record)
    finally:
        connections.close_all()
