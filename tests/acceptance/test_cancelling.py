"""A turn is stopped from any process, at any time of its life; and what a second question into its thread does."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.acceptance.books import ends
from tests.acceptance.databases import new_user
from tests.acceptance.streams import eventually, header, open_stream, read_head, read_until, status
from tests.acceptance.threads import cancel, get
from tests.processes import Running, host, hosts, let_go, stats

WAITS = "fake:tokens=5&at=1&then=wait"
SILENT = "fake:head=60"
BOTH_WAYS = list(product(["refusing", "giving_way"], repeat=2))


@pytest.fixture(scope="module")
def site(fake: Running, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Two hosts on one database: where a thread is busy, one refuses a second question, the other stops the first."""
    options = {"database": database, "provider": f"{fake.address}/v1"}
    settings = {"SILENCE_SECONDS": 100, "TITLES": True}
    directory = tmp_path_factory.mktemp("site")
    with (
        hosts(["uvicorn"], directory, settings=settings, **options) as (refusing,),
        host(
            "gunicorn-gthread",
            directory,
            settings={**settings, "BUSY_THREAD": "cancel"},
            is_set_up=True,
            **options,
        ) as giving_way,
    ):
        yield {"refusing": refusing, "giving_way": giving_way}


def ask(server: Running, user: Any, question: str = WAITS, **fields: str) -> socket.socket:
    """A connection on which the user has asked."""
    return open_stream(server, token=user.auth_token.key, input=question, **fields)


def seconds_to_cancel(asked: Running, other: Running) -> float:
    """Ask one host, stop the answer by the other; the seconds from there to the event that says so."""
    user = new_user()
    with ask(asked, user) as connection:
        thread = header(read_head(connection), "x-chat-thread")
        begun = time.monotonic()
        cancel(other, thread, user)
        assert b"event: cancelled" in read_until(connection, b"event: cancelled")
        return time.monotonic() - begun


@pytest.mark.parametrize(("asked", "other"), BOTH_WAYS)
def test_a_turn_is_stopped_from_any_process_within_a_second(site: dict[str, Running], asked: str, other: str) -> None:
    assert min(seconds_to_cancel(site[asked], site[other]) for _ in range(3)) < 1.0  # The machine may be busy once.


@pytest.mark.parametrize(("asked", "other"), BOTH_WAYS)
def test_the_first_turn_of_a_thread_can_be_stopped_before_its_first_event(
    site: dict[str, Running], fake: Running, asked: str, other: str
) -> None:
    user, before = new_user(), stats(fake)["asked"]
    with ask(site[asked], user, SILENT) as connection:
        assert eventually(lambda: stats(fake)["asked"] > before)
        (thread,) = get(site[other], "/api/chat-threads/", user)
        cancel(site[other], thread["uuid"], user)
        refusal = read_until(connection, b'"cancelled"')
        assert (status(refusal), b'"cancelled"' in refusal) == (409, True)
    assert ends(user)["cancelled"] == 1
    assert eventually(lambda: stats(fake)["answering"] == 0)


def test_to_stop_twice_is_to_stop_once(site: dict[str, Running]) -> None:
    user = new_user()
    with ask(site["refusing"], user) as connection:
        thread = header(read_head(connection), "x-chat-thread")
        for _ in range(2):
            cancel(site["giving_way"], thread, user)
        assert read_until(connection, b"\r\n0\r\n").count(b"event: cancelled") == 1
    cancel(site["giving_way"], thread, user)
    assert ends(user)["cancelled"] == 1


def test_a_second_question_is_told_which_turn_of_another_process_is_in_the_way(
    site: dict[str, Running], fake: Running
) -> None:
    user = new_user()
    with ask(site["giving_way"], user) as connection:
        head = read_head(connection)
        with ask(site["refusing"], user, thread_uuid=header(head, "x-chat-thread")) as second:
            refusal = read_until(second, b"}")
        let_go(fake)
        assert b"event: end" in read_until(connection, b"event: end")
    told = json.loads(refusal.partition(b"\r\n\r\n")[2])
    assert status(refusal) == 409
    assert (told["code"], told["turn_uuid"]) == ("thread_busy", header(head, "x-chat-turn"))


def test_a_second_question_takes_the_place_of_the_first_where_the_site_wants_that(
    site: dict[str, Running], fake: Running
) -> None:
    user = new_user()
    with ask(site["refusing"], user) as connection:
        thread = header(read_head(connection), "x-chat-thread")
        with ask(site["giving_way"], user, thread_uuid=thread) as second:
            assert status(read_head(second)) == 200
            assert b"event: cancelled" in read_until(connection, b"event: cancelled")
            let_go(fake)
            assert b"event: end" in read_until(second, b"event: end")
    assert ends(user)["cancelled"] == 1
