"""The same question many times at once, in several processes, is asked and paid for once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.acceptance.books import check_books
from tests.acceptance.cluster import repeats
from tests.acceptance.databases import new_user
from tests.acceptance.postgresql import pooled
from tests.processes import Running, hosts, stats

TIMES = 50


@pytest.fixture(scope="module")
def four(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of four hosts on one database."""
    settings = {"FINISH_SECONDS": None, "USER_TOKENS_DAILY": 1_000_000}
    options = {"database": pooled(database, 20), "provider": f"{fake.address}/v1", "settings": settings}
    with hosts(["uvicorn", "gunicorn-gthread"] * 2, tmp_path_factory.mktemp("four"), **options) as running:
        yield [one.port for one in running]


def test_streams_of_one_key_are_one_turn(four: list[int], fake: Running) -> None:
    user, asked = new_user(), stats(fake)["asked"]
    answers = asyncio.run(repeats.stream(four, user.auth_token.key, TIMES))
    assert {(one.text, one.end, one.turn) for one in answers} == {(repeats.TEXT, "end", answers[0].turn)}
    assert stats(fake)["asked"] - asked == 1
    assert check_books([user]) == 7 + 5


def test_whole_answers_of_one_key_are_one_turn(four: list[int], fake: Running) -> None:
    user, asked = new_user(), stats(fake)["asked"]
    assert asyncio.run(repeats.invoke(four, user.auth_token.key, TIMES)) == [repeats.TEXT] * TIMES
    assert stats(fake)["asked"] - asked == 1
    assert check_books([user]) == 7 + 5
