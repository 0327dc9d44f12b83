"""Decodes events and errors of the server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from waldur_chat.client.answers import Event, Failed
from waldur_chat.client.errors import BrokenStream, ChatError
from waldur_chat.errors import kind_of_code
from waldur_chat.events import (
    Cancelled,
    Delta,
    Finished,
    Reasoning,
    Started,
    StoredMessages,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
)


def decode_event(name: str, data: bytes) -> Event | None:
    """Decode a server-sent event; None for events that this client does not know.

    Raises `BrokenStream` if its data are invalid.
    """
    if not data:
        return None
    try:
        return _event(name, json.loads(data))
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise BrokenStream("The server sent an event that makes no sense.") from error


def decode_error(status: int, headers: Mapping[str, str], body: bytes) -> ChatError:
    """Decode an error response, of the API or of anything else."""
    parsed: Any = None
    with suppress(ValueError, RecursionError):
        parsed = json.loads(body)
    fields: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    code = str(fields.get("code") or "")
    return ChatError(
        str(fields.get("detail") or _problems(fields) or f"The server answered with the status {status}."),
        code=code,
        status=status,
        retryable=kind_of_code(code).retryable or status in (429, 502, 503, 504),
        retry_after=_retry_after(headers.get("retry-after", "")),
        body=fields,
    )


def _event(name: str, payload: Any) -> Event | None:
    match name:
        case "message":
            return Delta(text="" + payload["c"]) if payload.get("c") else None
        case "reasoning":
            return Reasoning(text="" + payload["reasoning"])
        case "start":
            return Started(turn=payload["turn_uuid"], thread=payload.get("thread_uuid", ""))
        case "warning":
            return Warned(text="" + payload["warning"], code="" + payload["code"])
        case "tool_call":
            return _called(payload)
        case "tool_result":
            return _answered(payload)
        case "end":
            return Finished(reason=payload["finish_reason"], usage=_usage(payload), stored=_stored(payload))
        case "error":
            return Failed(error=_failure(payload), usage=_usage(payload), stored=_stored(payload))
        case "cancelled":
            return Cancelled(usage=_usage(payload), stored=_stored(payload))
        case _:
            return None


def _answered(payload: Any) -> ToolAnswered:
    return ToolAnswered(
        call_uuid="" + payload["call_uuid"],
        tool="" + payload["tool"],
        outcome=payload["outcome"],
        summary="" + payload["summary"],
        block=dict(payload.get("block", {})),
    )


def _called(payload: Any) -> ToolCalled:
    expires = payload.get("expires")
    return ToolCalled(
        call_uuid="" + payload["call_uuid"],
        tool="" + payload["tool"],
        arguments=dict(payload["arguments"]),
        approval="needed" if payload.get("approval") == "needed" else "",
        expires=datetime.fromisoformat(expires) if expires else None,
        origins=dict(payload.get("origins", {})),
    )


def _failure(payload: Any) -> ChatError:
    code = payload["code"]
    return ChatError(
        payload["detail"], code=code, status=kind_of_code(code).status, retryable=bool(payload.get("retryable"))
    )


def _usage(payload: Any) -> Usage | None:
    counts = payload.get("additional_kwargs", {}).get("usage_metadata")
    if not counts:
        return None
    return Usage(
        input_tokens=int(counts["input_tokens"]),
        output_tokens=int(counts["output_tokens"]),
        estimated=bool(counts.get("estimated")),
    )


def _stored(payload: Any) -> StoredMessages | None:
    question, answer = payload.get("user_message_uuid", ""), payload.get("assistant_message_uuid", "")
    return StoredMessages(question=question, answer=answer) if question or answer else None


def _problems(fields: Mapping[str, Any]) -> str:
    """The validation errors of DRF, one sentence for each field."""
    problems = {name: value for name, value in fields.items() if isinstance(value, list)}
    return " ".join(f"{name}: {' '.join(map(str, value))}" for name, value in problems.items())


def _retry_after(value: str) -> float | None:
    """Seconds (RFC 9110, section 10.2.3): a number, or a date."""
    if value.isascii() and value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds())
    return None
