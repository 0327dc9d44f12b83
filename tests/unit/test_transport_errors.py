"""What an HTTP response that is no answer becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.aio import run, run_ahead
from waldur_chat.errors import (
    ContextExceeded,
    ProviderBusy,
    ProviderEmpty,
    ProviderError,
    ProviderFailed,
    ProviderRefused,
    ProviderRefusedQuestion,
    ProviderTooSlow,
)
from waldur_chat.providers.transport.refused import MAX_BODY_BYTES, check_head, refuse, status_error

NOW = "Mon, 30 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (204, ProviderEmpty),
        (301, ProviderRefused),
        (400, ProviderRefusedQuestion),
        (401, ProviderRefused),
        (402, ProviderRefused),
        (403, ProviderRefused),
        (404, ProviderRefused),
        (408, ProviderTooSlow),
        (409, ProviderRefused),
        (413, ContextExceeded),
        (422, ProviderRefusedQuestion),
        (429, ProviderBusy),
        (500, ProviderFailed),
        (502, ProviderFailed),
        (503, ProviderBusy),
        (504, ProviderTooSlow),
        (529, ProviderBusy),
    ],
)
def test_each_status_has_its_error(status: int, error: type[ProviderError]) -> None:
    error_of_status = status_error(status, {})
    assert type(error_of_status) is error
    assert str(error_of_status).startswith(f"The provider answered with status {status}")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 30}, 3600),
        ({"retry-after": "0.5"}, 1),
        ({"retry-after": "7.2"}, 8),
        ({"retry-after-ms": "1500"}, 2),
        ({"retry-after-ms": "1500", "retry-after": "60"}, 2),
        ({"retry-after": "Mon, 30 Nov 2026 12:00:30 GMT", "date": NOW}, 30),
        ({"retry-after": "Monday, 30-Nov-26 12:00:30 GMT", "date": NOW}, 30),
        ({"retry-after": "Mon Nov 30 12:00:30 2026", "date": NOW}, 30),
        ({"retry-after": "Mon, 30 Nov 2026 11:00:00 GMT", "date": NOW}, 0),
        ({"retry-after": "Mon, 30 Nov 2093 12:00:00 GMT", "date": NOW}, 3600),
        ({"retry-after": "Mon, 30 Nov 1993 12:00:00 GMT"}, 0),
        ({"retry-after": "Mon, 30 Nov 99999999 12:00:00 GMT"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "\u0667"}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 500, 504])
def test_the_time_to_come_back_is_understood_in_all_its_forms(
    status: int, headers: Mapping[str, str], seconds: int | None
) -> None:
    assert status_error(status, headers).retry_after == seconds


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip", "IDENTITY, zstd"])
def test_a_compressed_answer_is_not_read(encoding: str) -> None:
    with pytest.raises(ProviderFailed, match="compressed"):
        check_head(200, {"content-encoding": encoding})


@pytest.mark.parametrize("encoding", ["", "identity", " Identity"])
@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_a_plain_answer_is_read(status: int, encoding: str) -> None:
    check_head(status, {"content-encoding": encoding})


def test_a_head_without_an_answer_is_refused() -> None:
    with pytest.raises(ProviderRefused):
        check_head(302, {})


class Pieces:
    """A body, and how often it was read."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = list(pieces)
        self.reads = 0

    async def read(self) -> bytes:
        self.reads += 1
        piece = self._pieces.pop(0) if self._pieces else b""
        if isinstance(piece, Exception):
            raise piece
        return piece


LONG = b'{"error": {"code": "context_length_exceeded", "message": "secret"}}'


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([LONG], ContextExceeded),
        ([LONG[:20], LONG[20:]], ContextExceeded),
        ([b"data: ", LONG, b"\n\n"], ContextExceeded),
        ([b"The prompt is too long."], ContextExceeded),
        ([LONG[:20], ConnectionResetError()], ProviderRefusedQuestion),
        ([b"[" * 10_000], ProviderRefusedQuestion),
        ([b"\xff"], ProviderRefusedQuestion),
        ([], ProviderRefusedQuestion),
    ],
)
def test_the_body_says_what_is_refused(pieces: list[Any], kind: type[ProviderError]) -> None:
    error = run(refuse(400, {}, Pieces(*pieces).read))
    assert type(error) is kind
    assert "secret" not in str(error)


def test_an_endless_body_is_not_read_to_its_end() -> None:
    body = Pieces(*[b"x" * 1024] * 1000)
    assert type(run(refuse(400, {}, body.read))) is ProviderRefusedQuestion
    assert body.reads == MAX_BODY_BYTES // 1024


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    assert type(run_ahead(refuse(429, {}, never), seconds=10)) is ProviderBusy


def test_a_compressed_body_is_not_read() -> None:
    body = Pieces(b"x")
    run(refuse(400, {"content-encoding": "gzip"}, body.read))
    assert body.reads == 0
