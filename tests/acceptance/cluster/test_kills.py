"""Machines that are killed take nothing with them but the last moments of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.books import check_books, ends
from tests.acceptance.cluster import kills
from tests.acceptance.cluster.machines import Cluster, cluster
from tests.acceptance.cluster.reader import Reader
from tests.acceptance.databases import new_user
from tests.processes import Running

KILLS = 2
FLUSH_SECONDS = 0.25
SLACK_SECONDS = 3.0
"""A busy machine's; the benchmark measures what a quiet one needs."""

SECONDS = 12.0
"""From the kill to the end at the reader, on PostgreSQL."""


@pytest.fixture(scope="module")
def three(
    fake: Running, postgresql_cluster_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two that are to be killed, one of each kind, and one that lives."""
    servers, options = ["uvicorn", "gunicorn-gthread", "uvicorn"], {"settings": kills.SETTINGS}
    address, directory = f"{fake.address}/v1", tmp_path_factory.mktemp("kills")
    with cluster(servers, directory, database=postgresql_cluster_database, provider=address, **options) as running:
        yield running


def test_killed_machines_leave_answers_that_end_and_books_that_agree(three: Cluster) -> None:
    *victims, survivor = three.machines
    users: list[list[Any]] = [[new_user() for _ in range(kills.TURNS)] for _ in victims]
    asyncio.run(Reader([survivor.port], "fake:tokens=2").read())  # From now on it looks after others.
    struck = asyncio.run(kills.strike_often(victims, [survivor.port], users, KILLS))
    assert len(struck) == KILLS * kills.TURNS
    for one in struck:
        status, text = kills.stored(one)
        assert status in ("interrupted", "finished")
        assert one.answer.outcome in ("error interrupted", "end")
        assert kills.WORDS.startswith(text)
        assert one.lost(text) <= FLUSH_SECONDS + SLACK_SECONDS
        assert one.seconds <= SECONDS
        assert one.again.outcome == "end", "the conversation is free"
    everybody = [user for group in users for user in group]
    assert set(ends(*everybody)) <= {"interrupted", "finished"}
    assert check_books(everybody) > 0
    assert three.complaints() == []
