"""A process that is killed leaves turns behind: others end them, and give back what was held for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.books import check_books, ends
from tests.acceptance.cluster.reader import Reader
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.streams import eventually, header, open_stream, read_head, status
from tests.processes import Running, host, hosts, let_go
from waldur_chat.models import Budget, Turn

pytestmark = pytest.mark.core

QUESTION = "fake:tokens=5&at=1&then=wait"
LIMIT = 100
"""Tokens: enough for the question, but not while those that another turn holds are not given back."""

SECONDS = {"postgres": 12.0, "sqlite": 25.0}
"""Within these a dead turn has ended, by the kind of the database."""


@pytest.fixture(scope="module")
def survivor(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A host that lives."""
    with hosts(["uvicorn"], tmp_path_factory.mktemp("survivor"), **options) as (running,):
        yield running


@pytest.fixture(scope="module")
def options(fake: Running, database: str) -> dict[str, Any]:
    """What hosts are started with: users have room for one answer at a time."""
    settings = {"TITLES": False, "USER_TOKENS_DAILY": LIMIT, "SILENCE_SECONDS": 100}
    return {"database": database, "provider": f"{fake.address}/v1", "settings": settings}


def ask(stack: ExitStack, server: Running, user: Any, **fields: str) -> bytes:
    """Ask, and stay; gives the head of the answer."""
    connection = open_stream(server, token=user.auth_token.key, input=QUESTION, **fields)
    return read_head(stack.enter_context(connection))


def ask_until_answered(stack: ExitStack, server: Running, user: Any, end: float) -> list[int]:
    """Ask again and again; gives all statuses, of which the last is 200 if it came in time."""
    statuses = [0]
    while statuses[-1] != 200 and time.monotonic() < end:
        statuses.append(status(ask(stack, server, user)))
        time.sleep(0.2)
    return statuses[1:]


async def read_end(server: Running, user: Any, turn: str, end: float) -> str:
    """Come back to a turn, and read it to its end, which must come in time; gives how it ended."""
    reader = Reader([server.port], turn=turn, token=user.auth_token.key)
    return (await asyncio.wait_for(reader.read(), end - time.monotonic())).outcome


def test_all_that_a_dead_process_held_is_free_and_its_readers_are_told_in_time(
    survivor: Running, options: dict[str, Any], fake: Running, tmp_path: Path
) -> None:
    users = refused, busy, unheard = [new_user() for _ in range(3)]
    seconds = SECONDS["postgres" if "//" in options["database"] else "sqlite"]
    with ExitStack() as stack, ThreadPoolExecutor() as readers:
        with host("uvicorn", tmp_path, **options, is_set_up=True) as victim:
            heads = [ask(stack, victim, user) for user in users]
            assert [status(head) for head in heads] == [200] * 3
            victim.process.kill()
        end = time.monotonic() + seconds
        Budget.objects.using(HOST).filter(user=busy).update(daily_limit=10 * LIMIT)  # Only the turn is in the way.
        thread = {"thread_uuid": header(heads[1], "x-chat-thread")}
        refusal = ask(stack, survivor, busy, **thread)
        free_at = time.monotonic() + int(header(refusal, "retry-after"))
        assert (status(refusal), free_at < end) == (409, True)
        told = readers.submit(asyncio.run, read_end(survivor, unheard, header(heads[2], "x-chat-turn"), end))
        assert set(ask_until_answered(stack, survivor, refused, end)) == {429, 200}
        assert told.result() == "error interrupted"
        assert eventually(lambda: time.monotonic() > free_at, seconds)
        assert status(ask(stack, survivor, busy, **thread)) == 200
        assert ends(unheard, seconds=end - time.monotonic()) == {"interrupted": 1}
        let_go(fake)
    for user in users:
        ends(user)
    assert Turn.objects.using(HOST).filter(user__in=users, code="interrupted", reserved=0).count() == 3
    assert check_books(users) > 0
