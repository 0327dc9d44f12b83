"""A process that is killed leaves turns behind: others end them, and give back what was held for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.books import check_books, ends
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.streams import header, open_stream, read_head, status
from tests.processes import Running, host, hosts, let_go
from waldur_chat.models import Turn

pytestmark = pytest.mark.core

QUESTION = "fake:tokens=5&at=1&then=wait"
WORST_CASE = len(QUESTION) + 16 + 4096
SECONDS = 15.0
"""Within these a dead turn has ended."""


@pytest.fixture(scope="module")
def survivor(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A host that lives."""
    with hosts(["uvicorn"], tmp_path_factory.mktemp("survivor"), **options) as (running,):
        yield running


@pytest.fixture(scope="module")
def options(fake: Running, database: str) -> dict[str, Any]:
    """What hosts are started with: users have room for one answer, even for one that has a history."""
    settings = {"TITLES": False, "USER_TOKENS_DAILY": WORST_CASE + 200, "SILENCE_SECONDS": 100}
    return {"database": database, "provider": f"{fake.address}/v1", "settings": settings}


def ask(stack: ExitStack, server: Running, user: Any, **fields: str) -> bytes:
    """Ask, and stay; gives the head of the answer."""
    connection = open_stream(server, token=user.auth_token.key, input=QUESTION, **fields)
    return read_head(stack.enter_context(connection))


def ask_until_answered(stack: ExitStack, server: Running, user: Any, **fields: str) -> list[int]:
    """Ask again and again; gives all statuses, of which the last is 200 if it came in time."""
    statuses = [0]
    end = time.monotonic() + SECONDS
    while statuses[-1] != 200 and time.monotonic() < end:
        statuses.append(status(ask(stack, server, user, **fields)))
        time.sleep(0.2)
    return statuses[1:]


def test_all_that_a_dead_process_held_is_free_within_fifteen_seconds(
    survivor: Running, options: dict[str, Any], fake: Running, tmp_path: Path
) -> None:
    users = refused, busy, unheard = [new_user() for _ in range(3)]
    with ExitStack() as stack:
        with host("uvicorn", tmp_path, **options, is_set_up=True) as victim:
            heads = [ask(stack, victim, user) for user in users]
            assert [status(head) for head in heads] == [200] * 3
            victim.process.kill()
        end = time.monotonic() + SECONDS
        assert set(ask_until_answered(stack, survivor, refused)) == {429, 200}
        assert ask_until_answered(stack, survivor, busy, thread_uuid=header(heads[1], "x-chat-thread"))[-1] == 200
        assert ends(unheard, seconds=end - time.monotonic()) == {"interrupted": 1}
        let_go(fake)
    for user in users:
        ends(user)
    assert Turn.objects.using(HOST).filter(user__in=users, code="interrupted", reserved=0).count() == 3
    assert check_books(users) > 0
