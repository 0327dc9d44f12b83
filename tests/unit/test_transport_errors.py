"""What goes wrong over HTTP, as one of our errors."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from waldur_chat.errors import ProviderBusy, ProviderError, ProviderFailed, ProviderRefused, ProviderTooSlow
from waldur_chat.providers.transport.errors import check_head, status_error


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (201, ProviderRefused),
        (301, ProviderRefused),
        (400, ProviderRefused),
        (401, ProviderRefused),
        (404, ProviderRefused),
        (408, ProviderTooSlow),
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
    assert str(error_of_status) == f"The provider answered with status {status}."


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "9" * 30}, 3600),
        ({"retry-after": ""}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "7.5"}, None),
        ({"retry-after": "\u0667"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
    ],
)
def test_the_time_to_come_back_is_a_number_of_seconds(headers: Mapping[str, str], seconds: int | None) -> None:
    assert status_error(429, headers).retry_after == seconds


@pytest.mark.parametrize("encoding", ["gzip", "br, gzip", "IDENTITY, zstd"])
def test_a_compressed_answer_is_not_read(encoding: str) -> None:
    with pytest.raises(ProviderFailed, match="compressed"):
        check_head(200, {"content-encoding": encoding})


@pytest.mark.parametrize("encoding", ["", "identity", " Identity"])
def test_a_plain_answer_is_read(encoding: str) -> None:
    check_head(200, {"content-encoding": encoding})
