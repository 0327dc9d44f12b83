"""Budgets under a crowd: several processes on one database, and more questions at once than there are tokens for."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from tests.acceptance.books import budget_of, check_books, ends, limit_site
from tests.acceptance.databases import HOST, new_user
from tests.acceptance.postgresql import pooled
from tests.acceptance.streams import eventually, header, open_stream, read_head, read_until, status
from tests.acceptance.threads import cancel
from tests.processes import Running, hosts, let_go, stats
from waldur_chat.models import Budget

QUESTION = "fake:tokens=5&at=1&then=wait"
HELD = len(QUESTION) + 16 + 32
"""What is held for a question at first, as long as nothing is known of the model: the bytes of the prompt, and more."""
LONG = "fake:tokens=400&delay=0.02"
FINISHED = 7 + 5
"""The tokens that the fake service reports for an answer."""

ROOM = 10
CROWD = 200


@pytest.fixture(scope="module")
def four(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    """Four hosts on one database, which have room for ten answers of each user."""
    settings = {"TITLES": False, "USER_TOKENS_DAILY": ROOM * HELD, "SILENCE_SECONDS": 100}
    options = {"database": pooled(database, 20), "provider": f"{fake.address}/v1", "settings": settings}
    with hosts(["uvicorn", "gunicorn-gthread"] * 2, tmp_path_factory.mktemp("four"), **options) as running:
        yield running


def crowd(
    stack: ExitStack, hosts: Sequence[Running], users: Sequence[Any], question: str = QUESTION
) -> list[tuple[socket.socket, bytes]]:
    """Many questions at once, spread over hosts and users: their connections, and the heads of their answers."""
    connections = [
        stack.enter_context(
            open_stream(hosts[number % len(hosts)], token=users[number % len(users)].auth_token.key, input=question)
        )
        for number in range(CROWD)
    ]
    return [(connection, read_head(connection)) for connection in connections]


def test_a_crowd_never_overshoots_and_all_that_was_used_is_charged(four: list[Running], fake: Running) -> None:
    user = new_user()
    asked = stats(fake)["asked"]
    with ExitStack() as stack:
        replies = crowd(stack, four, [user])
        assert Counter(status(head) for _, head in replies) == {200: ROOM, 429: CROWD - ROOM}
        assert stats(fake)["asked"] - asked == ROOM
        assert budget_of(user).reserved == ROOM * HELD
        running = [(connection, header(head, "x-chat-thread")) for connection, head in replies if status(head) == 200]
        for number, (connection, thread) in enumerate(running[:2]):
            cancel(four[number], thread, user)
            read_until(connection, b"event: cancelled")
        for connection, _ in running[2:4]:
            connection.close()
        assert eventually(lambda: stats(fake)["answering"] == ROOM - 4)
        let_go(fake)
        for connection, _ in running[4:]:
            assert b"event: end" in read_until(connection, b"event: end")
    assert ends(user) == {"cancelled": 4, "finished": ROOM - 4}
    assert check_books([user]) >= (ROOM - 4) * FINISHED


def test_a_crowd_of_several_users_never_overshoots_the_budget_of_the_site(four: list[Running], fake: Running) -> None:
    users = [new_user() for _ in range(5)]
    site = limit_site(ROOM * HELD)
    try:
        with ExitStack() as stack:
            replies = crowd(stack, four, users)
            assert Counter(status(head) for _, head in replies) == {200: ROOM, 429: CROWD - ROOM}
            let_go(fake)
            for connection, head in replies:
                assert status(head) == 429 or b"event: end" in read_until(connection, b"event: end")
        assert ends(*users) == {"finished": ROOM}
        used = check_books([user for user in users if Budget.objects.using(HOST).filter(user=user).exists()])
        assert used == ROOM * FINISHED
        before = site.daily_tokens
        site.refresh_from_db()
        assert (site.daily_tokens - before, site.reserved) == (used, 0)
    finally:
        limit_site(None)


def test_answers_that_grow_at_once_pass_the_budget_by_two_percent_at_most(four: list[Running]) -> None:
    """Each begins with a small part of the budget. Together they want four times of it, and share what there is."""
    user, tokens = new_user(), 20_000
    budget = Budget.objects.using(HOST).create(user=user, daily_limit=tokens)
    with ExitStack() as stack:
        replies = crowd(stack, four, [user], LONG)
        ended = [read_until(connection, b"event: end") for connection, head in replies if status(head) == 200]
    assert sum(b'"length"' in body for body in ended) > CROWD / 4
    ends(user)
    assert 0.8 * tokens < check_books([user]) <= 1.02 * tokens
    budget.refresh_from_db()
    assert budget.reserved == 0
