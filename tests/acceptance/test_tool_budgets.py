"""Budgets under a crowd whose models call tools: each round is a prompt more, and longer than the one before."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.acceptance.books import budget_of, check_books, ends
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.deaths.tools import HELD
from tests.acceptance.postgresql import pooled
from tests.processes import Running, hosts
from waldur_chat.models import Budget, ToolCall

pytestmark = pytest.mark.slow

QUESTION = "fake:call=quick&rounds=2&intro=5&tokens=300&delay=0.01"
ROOM = 10
CROWD = 200


@pytest.fixture(scope="module")
def four(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Four hosts on one database, with tools, and no limit of tokens in their settings."""
    settings = {"TITLES": False, "TOOLS": HELD, "TURNS_PER_PROCESS": CROWD, "SILENCE_SECONDS": 100}
    options = {"database": pooled(database, 20), "provider": f"{fake.address}/v1", "settings": settings}
    with hosts(["uvicorn", "gunicorn-gthread"] * 2, tmp_path_factory.mktemp("four"), **options) as running:
        yield running


def ask(host: Running, user: Any) -> tuple[int, bytes]:
    """The status and the whole body of an answer."""
    headers = {"Authorization": f"Token {user.auth_token.key}", "Accept": "text/event-stream"}
    reply = httpx.post(f"{host.address}/api/chat/stream/", json={"input": QUESTION}, headers=headers, timeout=120)
    return reply.status_code, reply.content


@pytest.fixture
def whole(four: list[Running]) -> int:
    """The tokens of one answer: its three prompts, two rounds with a call, and its words."""
    user = new_user()
    assert ask(four[0], user)[0] == 200
    ends(user)
    return check_books([user])


@pytest.mark.parametrize("share", [1, 4])
def test_a_crowd_with_tools_passes_its_budget_by_two_percent_at_most(
    four: list[Running], whole: int, database: str, share: int
) -> None:
    """One user with a budget for ten answers; and a budget for forty, of which each question gets a part."""
    user, tokens = new_user(), share * ROOM * whole
    Budget.objects.using(HOST).create(user=user, daily_limit=tokens)
    with ThreadPoolExecutor(CROWD) as pool:
        replies = list(pool.map(ask, [four[number % 4] for number in range(CROWD)], [user] * CROWD))
    print(Counter(status for status, _ in replies), Counter(_how_it_ended(body) for _, body in replies))
    refused = [body for status, body in replies if status != 200]
    assert {status for status, _ in replies} == {200, 429}
    assert all(b'"code":"budget_exhausted"' in body.replace(b" ", b"") for body in refused)
    ended = Counter(_how_it_ended(body) for status, body in replies if status == 200)
    waits_too_long = {"database_unavailable"} if database.endswith("sqlite3") else set()  # All wait for one lock.
    assert set(ended) <= {"stop", "length", "budget_used_up", *waits_too_long}
    ends(user)
    used = check_books([user])
    print("used", used, "of", tokens)
    assert 0.5 * tokens < used <= 1.02 * tokens
    assert budget_of(user).reserved == 0
    calls = ToolCall.objects.using(HOST).filter(turn__user=user)
    assert set(calls.values_list("status", flat=True)) == {"done"}


def _how_it_ended(body: bytes) -> str:
    """The finish reason of an answer, or the code of its error."""
    found = re.findall(rb'"(?:finish_reason|code)": ?"(\w+)"', body)
    return found[-1].decode() if found else "nothing"
