"""What belongs to others: who reads and changes it, and that nobody else learns whether it is there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import resolve

from tests.integration.chatting import settled
from tests.integration.counting import counted
from tests.integration.rights import SECRET, Case, World, cases, nothing, rows
from waldur_chat.models import Reading
from waldur_chat.urls import router

CASES = cases()
ALL = [case.param() for case in CASES]
REFUSED = [case.param() for case in CASES if case.status in (403, 404)]
HIDDEN = [case.param() for case in CASES if case.status in (403, 404) and case.names_something]
OTHERS = [case.param() for case in CASES if case.who == "other"]
READ = [
    case.param() for case in CASES
    if case.who in ("support", "staff") and case.method in ("GET", "HEAD")
    and case.path.startswith(("chat-threads/<", "chat-messages/")) and case.path != "chat-messages/"
]  # fmt: skip


@pytest.fixture(autouse=True)
def host(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Conversations are stored, and the host knows of support."""
    settings.WALDUR_CHAT = {"STORAGE": True}
    is_support = property(lambda user: user.username == "support")
    monkeypatch.setattr(get_user_model(), "is_support", is_support, raising=False)


@pytest.mark.parametrize("case", ALL)
def test_everybody_may_do_what_is_his_to_do(case: Case) -> None:
    world = World(case.who)
    status, _ = world.send(case)
    settled()
    assert status == case.status


def test_no_operation_is_left_out() -> None:
    paths = {(case.method, "/api/" + case.path.partition("?")[0]) for case in CASES}
    tried = {(method, resolve(path).url_name) for method, path in paths}
    urls: list[Any] = router.urls
    there = {(method.upper(), url.name) for url in urls for method in url.callback.actions if method != "head"}
    assert there - tried == set()


@pytest.mark.parametrize("case", REFUSED)
def test_who_is_refused_changes_nothing(case: Case) -> None:
    world = World(case.who)
    before = rows()
    world.send(case)
    assert rows() == before


@pytest.mark.parametrize("case", HIDDEN)
def test_what_is_hidden_looks_like_what_is_not_there(case: Case) -> None:
    world = World(case.who)
    named = world.uuids()
    with counted() as without:
        unknown = world.send(case, nothing())
    with counted() as queries:
        hidden = world.send(case, named)
    assert (hidden, len(queries)) == (unknown, len(without))
    assert queries


@pytest.mark.parametrize("case", OTHERS)
def test_nothing_of_others_is_in_an_answer(case: Case) -> None:
    world = World(case.who)
    named = world.uuids()
    _, body = world.send(case)
    settled()
    assert [word for word in (SECRET, "somebody", *named.values()) if word.encode() in body] == []


@pytest.mark.parametrize("case", READ)
def test_who_reads_what_belongs_to_others_leaves_a_record(case: Case) -> None:
    world = World(case.who)
    world.send(case)
    assert [reading.thread for reading in Reading.objects.all()] == [world.theirs.uuid]


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
