"""The site's rate of questions, counted in the database."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.integration.chatting import settled
from tests.integration.conftest import Caller
from tests.integration.customized import answering
from waldur_chat import chat
from waldur_chat.errors import SiteThrottled
from waldur_chat.models import MinuteOfRequests
from waldur_chat.store.turns import request_rates

NOW = datetime(2026, 7, 1, 12, 0, 40, tzinfo=timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> list[datetime]:
    """The time, which a test moves on."""
    times = [NOW]
    monkeypatch.setattr(request_rates.timezone, "now", lambda: times[-1])
    return times


def test_more_than_the_limit_wait_for_the_next_minute(clock: list[datetime]) -> None:
    for _ in range(2):
        request_rates.count(2)
    with pytest.raises(SiteThrottled) as refused:
        request_rates.count(2)
    assert refused.value.retry_after == 20
    clock.append(NOW + timedelta(seconds=20))
    request_rates.count(2)
    assert [(row.minute.minute, row.requests) for row in MinuteOfRequests.objects.all()] == [(1, 1)]


def test_a_minute_that_another_process_began_is_counted_in(
    clock: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = request_rates._begin

    def begin_late(minute: datetime) -> bool:
        begin(minute)
        return begin(minute)

    monkeypatch.setattr(request_rates, "_begin", begin_late)
    request_rates.count(2)
    assert str(MinuteOfRequests.objects.get()) == "2026-07-01 12:00:00+00:00, 2"


def test_the_site_refuses_what_is_too_much(call: Caller, settings: Any, clock: list[datetime]) -> None:
    answering(settings, "Hello", REQUESTS_PER_MINUTE=2)
    replies = [call.invoke(), call.stream(), call.invoke(), call.stream()]
    assert [reply.status for reply in replies] == [200, 200, 429, 429]
    assert (replies[2].json["code"], replies[2].headers["Retry-After"]) == ("site_throttled", "20")


def test_the_same_request_again_counts_once(call: Caller, settings: Any, clock: list[datetime]) -> None:
    answering(settings, "Hello", REQUESTS_PER_MINUTE=1, STORAGE=True)
    statuses = [call.invoke({"input": "Hi"}, Idempotency_Key="a").status for _ in range(2)]
    settled()
    assert statuses == [200, 200]


def test_the_hosts_own_code_is_not_counted(settings: Any, clock: list[datetime]) -> None:
    answering(settings, "Hello", REQUESTS_PER_MINUTE=1)
    assert [chat.invoke("Hi").text for _ in range(2)] == ["Hello", "Hello"]
