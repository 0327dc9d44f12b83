"""All of one's conversations as a file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from rest_framework.authtoken.models import Token

from tests.integration.rest import Person, message_of
from tests.integration.stored import days_ago, thread_of
from waldur_chat.api.responses import download
from waldur_chat.models import Message, Thread

EXPORT = "chat-sessions/current/export/"


@pytest.fixture
def thread(alice: Person) -> Thread:
    """A conversation with an answer that was replaced."""
    thread = thread_of(alice.user, "Hello", "Hi", name="Cats\n# and dogs", created=days_ago(2))
    old = message_of(thread, 1, is_current=False, feedback_score=False, feedback_comment="Rude.")
    Message.objects.create(thread=thread, role="assistant", text="Dear Alice", sequence_index=1, replaces=old)
    return thread


def body(response: Any) -> str:
    """The whole of a stream."""
    assert response.status_code == 200
    return b"".join(response).decode()


def test_json_has_every_version(alice: Person, thread: Thread) -> None:
    thread_of(alice.user, name="Ünicode")
    export = json.loads(body(alice.get(EXPORT)))
    assert export["user"] == {
        "uuid": alice.uuid,
        "username": "alice",
        "full_name": "Alice Liddell",
        "email": "alice@example.com",
    }
    assert [one["name"] for one in export["threads"]] == ["Cats\n# and dogs", "Ünicode"]
    said = export["threads"][0]["messages"]
    assert [message["text"] for message in said] == ["Hello", "Hi", "Dear Alice"]
    assert [message["is_current"] for message in said] == [True, False, True]
    assert [said[1]["feedback_comment"], said[2]["replaces"]] == ["Rude.", said[1]["uuid"]]


def test_json_of_nothing_is_json(alice: Person) -> None:
    assert json.loads(body(alice.get(EXPORT, **{"as": "json"})))["threads"] == []


def test_markdown_has_what_stands_now(alice: Person, thread: Thread) -> None:
    lines = body(alice.get(EXPORT, **{"as": "markdown"})).splitlines()
    assert lines[0] == "# Conversations of Alice Liddell"
    assert "## Cats # and dogs" in lines
    assert [line for line in lines if line in ("Hello", "Hi", "Dear Alice")] == ["Hello", "Dear Alice"]
    assert [line.partition(",")[0] for line in lines if line.startswith("**")] == ["**User**", "**Assistant**"]


def test_who_has_no_name_is_called_by_the_username(bob: Person) -> None:
    assert body(bob.get(EXPORT, **{"as": "markdown"})) == "# Conversations of bob\n"


@pytest.mark.parametrize(
    ("name", "media_type", "file"),
    [
        ("json", "application/json", "conversations.json"),
        ("markdown", "text/markdown; charset=utf-8", "conversations.md"),
    ],
)
def test_it_is_a_file_that_no_cache_keeps(alice: Person, name: str, media_type: str, file: str) -> None:
    export = alice.get(EXPORT, **{"as": name})
    assert export.headers["Content-Type"] == media_type
    assert export.headers["Content-Disposition"] == f'attachment; filename="{file}"'
    assert export.headers["Cache-Control"] == "no-store"
    assert int(export.headers["Content-Length"]) == len(body(export).encode())


def test_other_formats_are_refused(alice: Person) -> None:
    refused = alice.get(EXPORT, **{"as": "pdf"})
    assert (refused.status_code, list(refused.json())) == (400, ["as", "code"])


def test_it_has_ones_own_only(alice: Person, staff: Person, thread: Thread) -> None:
    assert "Dear Alice" not in body(staff.get(EXPORT))


def test_a_head_says_how_large_it_is(alice: Person, thread: Thread) -> None:
    head = alice.head(EXPORT)
    assert int(head.headers["Content-Length"]) > 100
    assert body(head) == ""


def test_it_comes_in_pieces_under_asgi_too(alice: Person, thread: Thread, monkeypatch: Any) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 50)

    async def ask() -> list[bytes]:
        response = await AsyncClient().get(f"/api/{EXPORT}", headers=headers)
        return [piece async for piece in response]

    headers = {"Authorization": f"Token {Token.objects.get(user=alice.user).key}"}
    pieces = async_to_sync(ask)()
    assert len(pieces) > 5
    assert json.loads(b"".join(pieces))["threads"][0]["uuid"] == thread.uuid.hex


def test_a_large_one_is_whole_too(alice: Person, thread: Thread, monkeypatch: Any) -> None:
    monkeypatch.setattr(download, "IN_MEMORY", 10)
    assert json.loads(body(alice.get(EXPORT)))


def test_its_file_goes_with_the_response(db: None) -> None:
    response = download.Download(["Hello"], name="a.txt", media_type="text/plain")
    response.close()
    with pytest.raises(ValueError, match="closed"):
        next(iter(response))


def test_a_conversation_that_goes_meanwhile_is_left_out(alice: Person, thread: Thread) -> None:
    from waldur_chat.store.conversations import export

    other = thread_of(alice.user)
    pieces = export.as_json(alice.user)
    begun = next(pieces) + next(pieces)
    other.delete()
    assert len(json.loads(begun + "".join(pieces))["threads"]) == 1


@pytest.mark.parametrize("count", [1, 20])
def test_the_number_of_queries_does_not_grow_with_messages(
    alice: Person, count: int, django_assert_num_queries: Any
) -> None:
    thread_of(alice.user, *["Hello"] * count)
    for name in ("json", "markdown"):
        with django_assert_num_queries(4):
            body(alice.get(EXPORT, **{"as": name}))
