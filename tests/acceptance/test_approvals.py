"""A call that is approved has its effect once, whoever else approves it at the same time, and whoever dies of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.approved import TOOLS, effects, waiting
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.deaths.tools import TOOLS as CALLED
from tests.acceptance.deaths.tools import written
from tests.acceptance.deaths.victims import KINDS, Kind, propose
from tests.integration.chatting import until
from tests.processes import Running, host, hosts
from waldur_chat.models import ToolCall
from waldur_chat.store.turns.tool_calls import NOT_WRITTEN, WRITTEN

pytestmark = pytest.mark.slow

SERVERS = ["uvicorn", "uvicorn", "gunicorn-gthread", "gunicorn-gthread"]


@pytest.fixture(scope="module")
def options(fake: Running, database: str) -> dict[str, Any]:
    """What hosts are started with."""
    return {"database": database, "provider": f"{fake.address}/v1", "settings": {"STORAGE": True, "TOOLS": TOOLS}}


@pytest.fixture(scope="module")
def four(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Four hosts on one database."""
    with hosts(SERVERS, tmp_path_factory.mktemp("four"), **options) as running:
        yield running


def decide(server: Running, call: ToolCall, word: str = "approve") -> str:
    """What a decision leads to: `began`, or the code of the refusal."""
    token = {"Authorization": f"Token {call.user.auth_token.key}"}  # type: ignore[union-attr]
    response = httpx.post(f"{server.address}/api/chat-tool-calls/{call.uuid.hex}/{word}/", headers=token, timeout=60)
    return "began" if response.status_code == 200 else str(response.json()["code"])


@pytest.mark.parametrize("name", [*TOOLS])
def test_of_fifty_approvals_at_once_one_counts(four: list[Running], name: str) -> None:
    call = waiting(new_user(), name)
    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(lambda number: decide(four[number % 4], call), range(50)))
    assert answers == {"began": 1, "tool_call_decided": 49}
    until(lambda: ToolCall.objects.using(HOST).filter(uuid=call.uuid, status="done").exists())
    assert effects(call) == 1


@pytest.fixture(scope="module")
def four_with_views(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Four hosts on the database, with views as tools."""
    settings = {"STORAGE": True, "TOOLS": CALLED}
    environment = {"WALDUR_CHAT_URLS": "tests.projects.urls"}
    with hosts(
        SERVERS, tmp_path_factory.mktemp("views"), **{**options, "settings": settings, "environment": environment}
    ) as running:
        yield running


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not (kind.requests or kind.arguments)], ids=str)
def test_of_fifty_approvals_of_a_call_of_the_model_one_counts(four_with_views: list[Running], kind: Kind) -> None:
    proposed = propose(four_with_views[0], kind)
    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(lambda number: decide(four_with_views[number % 4], proposed.call), range(50)))
    assert answers == {"began": 1, "tool_call_decided": 49}
    until(lambda: ToolCall.objects.using(HOST).filter(pk=proposed.call.pk, status="done").exists())
    assert written(proposed.name) == ["1", "2"]


def test_of_approvals_and_denials_one_counts(four: list[Running]) -> None:
    call = waiting(new_user(), "ordinary")
    words = ("approve", "deny")
    with ThreadPoolExecutor(20) as pool:
        answers = Counter(pool.map(lambda number: decide(four[number % 4], call, words[number % 2]), range(20)))
    assert answers == {"began": 1, "tool_call_decided": 19}
    ended = until(lambda: ToolCall.objects.using(HOST).filter(uuid=call.uuid, status__in=("done", "denied")).first())
    assert effects(call) == (1 if ended.status == "done" else 0)


@pytest.mark.parametrize(
    ("name", "hangs", "count", "told"),
    [
        ("ordinary", "before", 0, NOT_WRITTEN),
        ("ordinary", "after", 1, WRITTEN),
        ("atomic", "after", 0, NOT_WRITTEN),
    ],
)
def test_what_a_dead_process_has_done_is_known(
    four: list[Running], options: dict[str, Any], tmp_path: Path, name: str, hangs: str, count: int, told: str
) -> None:
    assert decide(four[0], waiting(new_user(), "ordinary")) == "began"  # So that it looks for the turns of the dead.
    reached = tmp_path / "reached"
    call = waiting(new_user(), name, hangs=hangs, reached=str(reached))
    with ThreadPoolExecutor(1) as pool, host("uvicorn", tmp_path, **options, is_set_up=True) as victim:
        approving = pool.submit(decide, victim, call)
        until(reached.exists, 30)
        victim.process.kill()
        with suppress(httpx.HTTPError):
            approving.result()
    ended = until(lambda: ToolCall.objects.using(HOST).filter(uuid=call.uuid, status="unknown").first(), 30)
    assert (ended.summary, ended.is_touched, effects(call)) == (told, bool(count), count)
    assert decide(four[0], call) == "tool_call_decided"
    assert effects(call) == count
