"""Read a response that is no answer: its body, within limits, says what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from waldur_chat.errors import ProviderEmpty, ProviderError, ProviderFailed
from waldur_chat.providers.dialects.refusals import refusal_of_status
from waldur_chat.providers.transport.retry_after import retry_after

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 2.0
"""Limits on the body of an error, which may be endless: what was read until then is taken."""

NO_CONTENT = (204, 205)


def is_answer(status: int) -> bool:
    """Whether an answer may follow this status. Some gateways send streams with 201, 202 or 206."""
    return 200 <= status < 300 and status not in NO_CONTENT


def check_head(status: int, headers: Mapping[str, str]) -> None:
    """Raise the error for this status and these headers, unless an uncompressed answer follows."""
    if not is_answer(status):
        raise status_error(status, headers)
    if not is_plain(headers):
        raise ProviderFailed("The provider compressed its answer although it was asked not to.")


async def refuse(status: int, headers: Mapping[str, str], read: Callable[[], Awaitable[bytes]]) -> ProviderError:
    """The error for a response whose status is no answer's; `read` returns the next bytes of its body."""
    return status_error(status, headers, await _read_body(read) if is_plain(headers) else b"")


def status_error(status: int, headers: Mapping[str, str], body: object = None) -> ProviderError:
    """The error for a status that is no answer's. The body is bytes, or what was parsed from them."""
    if status in NO_CONTENT:
        return ProviderEmpty(f"The provider answered with status {status}, which has no content.")
    return refusal_of_status(status, _parsed(body) if isinstance(body, bytes) else body, retry_after(headers))


def is_plain(headers: Mapping[str, str]) -> bool:
    """Whether the body is not compressed: a small one could hold an endless text."""
    return headers.get("content-encoding", "identity").strip().lower() in ("", "identity")


async def _read_body(read: Callable[[], Awaitable[bytes]]) -> bytes:
    body = bytearray()

    async def collect() -> None:
        while len(body) < MAX_BODY_BYTES and (data := await read()):
            body.extend(data)

    with suppress(Exception):  # The connection broke, or the time is over.
        await asyncio.wait_for(collect(), BODY_SECONDS)
    return bytes(body[:MAX_BODY_BYTES])


def _parsed(body: bytes) -> object:
    """The body as JSON, in which some services send an event; else as text."""
    text = body.decode(errors="replace").strip().removeprefix("data:")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
