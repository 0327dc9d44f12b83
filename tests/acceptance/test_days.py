"""A call waits for its user for a week: across a restart, in another process, on a server of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.utils import timezone

from tests.acceptance.clocks import Clock
from tests.acceptance.deaths.tools import TOOLS, row_of, written
from tests.acceptance.deaths.victims import KINDS, Proposed, propose
from tests.processes import Running, host

pytestmark = pytest.mark.slow

WEEK, MINUTE = timedelta(days=7), timedelta(minutes=1)
URLS = {"WALDUR_CHAT_URLS": "tests.projects.urls"}
ONCE = [kind for kind in KINDS if not (kind.requests or kind.arguments)]


@pytest.fixture
def options(fake: Running, database: str) -> dict[str, Any]:
    """What hosts are started with."""
    return {"database": database, "provider": f"{fake.address}/v1", "settings": {"STORAGE": True, "TOOLS": TOOLS}}


@contextmanager
def another(tmp_path: Path, options: dict[str, Any]) -> Iterator[tuple[Running, Clock]]:
    """A host on a server of another kind, and its clock."""
    clock = Clock(file=tmp_path / "clock")
    clock.set(0.0)
    stepping = {"DJANGO_SETTINGS_MODULE": "tests.host.stepping_settings", "WALDUR_CHAT_CLOCK": str(clock.file), **URLS}
    with host("gunicorn-gthread", tmp_path, environment=stepping, is_set_up=True, **options) as server:
        yield server, clock


def approve_after(passed: timedelta, server: Running, clock: Clock, one: Proposed) -> httpx.Response:
    """The answer to an approval so long after the call was proposed, however long it has taken to come here."""
    clock.set((one.call.created + passed - timezone.now()).total_seconds())
    return approve(server, one)


def approve(server: Running, one: Proposed) -> httpx.Response:
    """The whole answer to an approval."""
    headers = {"Authorization": f"Token {one.token}", "Accept": "text/event-stream"}
    return httpx.post(f"{server.address}/api/chat-tool-calls/{one.call.uuid.hex}/approve/", headers=headers, timeout=60)


def proposed(tmp_path: Path, options: dict[str, Any]) -> list[Proposed]:
    """Calls that a process has left which is no more."""
    with host("uvicorn", tmp_path, environment=URLS, **options) as before:
        return [propose(before, kind) for kind in ONCE]


def test_a_minute_before_a_week_it_runs(tmp_path: Path, options: dict[str, Any]) -> None:
    calls = proposed(tmp_path, options)
    with another(tmp_path, options) as (after, clock):
        answers = [approve_after(WEEK - MINUTE, after, clock, one) for one in calls]
        again = [approve(after, one) for one in calls]
    for answer in answers:
        assert (answer.status_code, "event: end" in answer.text, "w0 " in answer.text) == (200, True, True)
    assert [(row_of(one.call).status, written(one.name)) for one in calls] == [("done", ["1", "2"])] * len(calls)
    assert {(answer.status_code, answer.json()["code"]) for answer in again} == {(409, "tool_call_decided")}


def test_a_minute_after_a_week_it_has_expired(tmp_path: Path, options: dict[str, Any]) -> None:
    calls = proposed(tmp_path, options)
    with another(tmp_path, options) as (after, clock):
        answers = [approve_after(WEEK + MINUTE, after, clock, one) for one in calls]
        shown = {_status(after, one) for one in calls}
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(409, "tool_call_decided")}
    assert [written(one.name) for one in calls] == [[]] * len(calls)
    assert shown == {"expired"}


def _status(server: Running, one: Proposed) -> str:
    headers = {"Authorization": f"Token {one.token}"}
    (call,) = httpx.get(f"{server.address}/api/chat-tool-calls/", headers=headers, timeout=60).json()
    return str(call["status"])
