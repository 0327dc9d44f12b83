"""What belongs to others: who reads and changes it, and that nobody else learns whether it is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import resolve

from tests.integration.chatting import settled
from tests.integration.counting import counted
from tests.integration.rights import SECRET, WHO, Case, World, cases, clear, nothing, rows
from waldur_chat.models import Reading
from waldur_chat.urls import router

CASES = cases()


@pytest.fixture(autouse=True)
def host(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations are stored, and the host knows of support."""
    settings.WALDUR_CHAT = {"STORAGE": True}
    is_support = property(lambda user: user.username == "support")
    monkeypatch.setattr(get_user_model(), "is_support", is_support, raising=False)


@pytest.mark.django_db
@pytest.mark.parametrize("who", WHO)
def test_everybody_may_do_what_is_theirs_to_do_and_learns_nothing_of_others(who: str) -> None:
    world = World(who)
    wrong: list[str] = []
    for case in (one for one in CASES if one.who == who and not one.asks):
        with transaction.atomic():
            wrong += faults(case, world)
            transaction.set_rollback(True)
    assert wrong == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", WHO)
def test_everybody_may_ask_in_their_own_conversations_only(who: str) -> None:
    wrong: list[str] = []
    for case in (one for one in CASES if one.who == who and one.asks):
        wrong += faults(case, World(who))
        clear()
    assert wrong == []


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request got, and how many statements to the database it took."""

    status: int
    body: bytes
    statements: int


def faults(case: Case, world: World) -> list[str]:
    """What is wrong with the answer to this request, and with what it leaves behind."""
    named, before = world.uuids(), rows() if case.is_refused else {}
    unknown = answered(case, world, nothing()) if case.hides else None
    answer = answered(case, world, named)
    is_well = {
        f"gets {answer.status} instead of {case.status}": answer.status == case.status,
        "is refused, but changes something": not case.is_refused or rows() == before,
        f"gets {answer}, but where there is nothing {unknown}": not case.hides or answer == unknown,
        "asks nobody whether it is there": not case.hides or answer.statements > 0,
        "is told of others": case.who != "other" or not told_in(answer.body, named),
        "reads what belongs to others without a record": not case.reads_others or read() == [world.theirs.uuid],
    }
    return [f"{case.who} {case.method} {case.path} {case.body} {fault}" for fault, well in is_well.items() if not well]


def answered(case: Case, world: World, named: dict[str, str]) -> Answer:
    """The answer to a request, of which nothing runs any more."""
    with counted() as statements:
        status, body = world.send(case, named)
    settled()
    return Answer(status=status, body=body, statements=len(statements))


def told_in(body: bytes, named: dict[str, str]) -> list[str]:
    """What of others stands in an answer."""
    return [word for word in (SECRET, "somebody", *named.values()) if word.encode() in body]


def read() -> list[Any]:
    """The conversations of which is recorded that somebody has read them."""
    return [reading.thread for reading in Reading.objects.all()]


def test_no_operation_is_left_out() -> None:
    paths = {(case.method, "/api/" + case.path.partition("?")[0]) for case in CASES}
    tried = {(method, resolve(path).url_name) for method, path in paths}
    urls: list[Any] = router.urls
    there = {(method.upper(), url.name) for url in urls for method in url.callback.actions if method != "head"}
    assert there - tried == set()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat-messages/", '{"thread": "<mine>", "role": "user", "content": "a", "replaces": "<question>"}'),
        ("chat/stream/", '{"input": "a", "thread_uuid": "<mine>", "mode": "edit", "edit_message_uuid": "<question>"}'),
        ("chat/invoke/", '{"input": "a", "thread_uuid": "<mine>", "mode": "edit", "edit_message_uuid": "<question>"}'),
    ],
)
@pytest.mark.django_db(transaction=True)
def test_a_message_of_others_cannot_be_replaced_from_ones_own_conversation(path: str, body: str) -> None:
    world = World("other")
    case = Case(method="POST", path=path, body=body, who="other", status=400)
    mine = {"mine": world.mine.uuid.hex}
    refused, unknown = (world.send(case, {**mine, **others}) for others in (world.uuids(), nothing()))
    assert refused == unknown
    assert refused[0] == case.status
