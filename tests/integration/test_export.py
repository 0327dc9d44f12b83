"""All of one's conversations as a file."""

from __future__ import annotations

import gc
import json
from datetime import datetime, timezone
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from django.test import AsyncClient
from django.utils import timezone as django_timezone
from django.utils import translation
from django.utils.dateparse import parse_datetime
from rest_framework.authtoken.models import Token

from tests.integration.rest import Person, message_of
from tests.integration.stored import days_ago, thread_of
from tests.unit.fences import each_case
from waldur_chat.api.responses import download
from waldur_chat.errors import ChatBusy
from waldur_chat.models import Message, Session, Thread
from waldur_chat.store.conversations import export
from waldur_chat.wire.fences import closed

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
    assert [line for line in lines if line.startswith(">")] == ["> Hello", "> Dear Alice"]
    assert [line.partition(",")[0] for line in lines if line.startswith("**")] == [
        "**User**",
        "**Assistant** (AI generated)",
    ]


@pytest.mark.parametrize(
    ("status", "code", "line"),
    [
        ("stopped", "cancelled", "*The answer was stopped.*"),
        ("failed", "provider_failed", "*The answer failed. (provider_failed)*"),
        ("failed", "", "*The answer failed.*"),
        ("interrupted", "interrupted", "*The answer was interrupted.*"),
        ("length", "", "*The answer was cut off where it became too long.*"),
        ("filtered", "", "*The answer was cut off by a content filter.*"),
    ],
)
def test_markdown_says_how_an_answer_ended(alice: Person, thread: Thread, status: str, code: str, line: str) -> None:
    message_of(thread, 1, status=status, code=code)
    assert body(alice.get(EXPORT, **{"as": "markdown"})).endswith(f"> Dear Alice\n\n{line}\n")


def test_markdown_says_nothing_of_the_end_of_a_complete_answer(alice: Person, thread: Thread) -> None:
    assert body(alice.get(EXPORT, **{"as": "markdown"})).endswith("> Dear Alice\n")


@each_case
def test_markdown_ends_what_a_message_has_left_open(case: dict[str, Any]) -> None:
    lines = export._quoted(case["text"]).split("\n")
    assert all(line == ">" or line.startswith("> ") for line in lines)
    told = "\n".join(line[2:] for line in lines)
    assert told == closed(case["text"].strip("\r\n"))
    assert told.endswith(case.get("open", ""))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_markdown_takes_no_line_of_a_message_for_its_own(alice: Person, line_end: str) -> None:
    said = line_end.join(["", "## Other", "", "**User**, 2026-01-01 00:00:", "<!--", "  - ~~~", "=", ""])
    thread_of(alice.user, said, said, name="Mine")
    lines = body(alice.get(EXPORT, **{"as": "markdown"})).split("\n")
    own = [line for line in lines if line and not line.startswith(">")]
    assert [own[1], *(line.partition(",")[0] for line in own[3:])] == [
        "## Mine",
        "**User**",
        "**Assistant** (AI generated)",
    ]
    assert lines.count("> ## Other") == lines.count("> <!--") == 2


def test_json_says_how_an_answer_ended_and_who_wrote_it(alice: Person, thread: Thread) -> None:
    message_of(thread, 1, status="failed", code="provider_failed", model="gemma")
    said = json.loads(body(alice.get(EXPORT)))["threads"][0]["messages"]
    names = ("status", "code", "model", "ai_generated")
    assert [said[0][name] for name in names] == ["complete", "", "", False]
    assert [said[2][name] for name in names] == ["failed", "provider_failed", "gemma", True]


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
    assert body(export)


def test_other_formats_are_refused(alice: Person) -> None:
    refused = alice.get(EXPORT, **{"as": "pdf"})
    assert (refused.status_code, list(refused.json())) == (400, ["as", "code"])


def test_it_has_ones_own_only(alice: Person, staff: Person, thread: Thread) -> None:
    assert "Dear Alice" not in body(staff.get(EXPORT))


def test_a_head_generates_nothing(alice: Person, thread: Thread, django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(2):  # The token and its user.
        head = alice.head(EXPORT)
        assert (head.headers["Content-Type"], body(head)) == ("application/json", "")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is done in small pieces."""
    monkeypatch.setattr(download, "FIRST_CHUNK_LENGTH", 50)
    monkeypatch.setattr(download, "CHUNK_LENGTH", 50)
    monkeypatch.setattr(export, "FIRST_THREADS", 2)
    monkeypatch.setattr(export, "THREADS_PER_QUERY", 2)
    monkeypatch.setattr(export, "MESSAGES_PER_QUERY", 2)


def pieces_of(user: Any, path: str = EXPORT, language: str = "en") -> list[bytes]:
    """What comes under ASGI."""
    headers = {"Authorization": f"Token {Token.objects.get(user=user).key}", "Accept-Language": language}

    async def ask() -> list[bytes]:
        response = await AsyncClient().get(f"/api/{path}", headers=headers)
        return [piece async for piece in response]

    return async_to_sync(ask)()


@pytest.mark.usefixtures("small")
def test_it_comes_in_pieces_under_asgi_too(alice: Person, thread: Thread) -> None:
    pieces = pieces_of(alice.user)
    assert len(pieces) > 3
    assert json.loads(b"".join(pieces))["threads"][0]["uuid"] == thread.uuid.hex


@pytest.mark.usefixtures("small")
def test_it_is_whole_however_it_is_divided(alice: Person) -> None:
    threads = [thread_of(alice.user, *"abcde"[:count], name=str(count), created=days_ago(1)) for count in range(6)]
    Thread.objects.filter(pk=threads[0].pk).update(created=days_ago(0))
    exported = json.loads(body(alice.get(EXPORT)))["threads"]
    assert [one["name"] for one in exported] == ["1", "2", "3", "4", "5", "0"]
    assert ["".join(message["text"] for message in one["messages"]) for one in exported] == [
        "a", "ab", "abc", "abcd", "abcde", "",
    ]  # fmt: skip


def test_rows_that_are_gone_are_left_out(alice: Person, thread: Thread) -> None:
    first = Message.objects.filter(thread=thread).order_by("pk")[0].pk
    assert list(export._rows([])) == []
    assert [row and row["pk"] for row in export._rows([(first, 1), (0, 1)])] == [first, None]


def test_long_texts_are_not_in_memory_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "CHARACTERS_PER_QUERY", 10)
    slices = export._slices([(1, 11), (2, 5), (3, 5), (4, 1), (5, 0)])
    assert list(slices) == [[1], [2, 3], [4, 5]]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("hour", ["+00:00", "+05:00"])
def test_all_pieces_are_in_the_language_and_the_time_zone_of_the_request(
    alice: Person, hour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        thread_of(alice.user, "Hello", created=datetime(2026, 1, 2, 3, tzinfo=timezone.utc))
    seen: set[tuple[str | None, str]] = set()
    format_time = export._format_time

    def note(moment: datetime) -> str:
        seen.add((translation.get_language(), format_time(moment)))
        return format_time(moment)

    monkeypatch.setattr(export, "_format_time", note)
    zone = parse_datetime(f"2026-01-01T00:00{hour}").tzinfo
    with django_timezone.override(zone), translation.override("de"):
        chunks = download._Chunks(export.as_markdown(alice.user), 1)
    assert b"".join(chunks)
    of_threads = {one for one in seen if "2026-01-02" in one[1]}
    assert of_threads == {("de", "2026-01-02 08:00" if hour == "+05:00" else "2026-01-02 03:00")}


def test_a_process_sends_only_so_many_at_once(alice: Person, thread: Thread, settings: Any) -> None:
    settings.WALDUR_CHAT = {"EXPORTS_AT_ONCE": 2}
    limiter = download.downloads_of_process()
    for _ in range(2):
        limiter.enter(2)
    refused = alice.get(EXPORT)
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (503, "chat_busy", "5")
    for _ in range(2):
        limiter.leave()
    assert body(alice.get(EXPORT))


@pytest.fixture(autouse=True)
def none_running() -> None:
    """What other tests have not closed does not count."""
    download.downloads_of_process.reset()


def leave_unclosed(send: Any) -> None:
    """Make a response that nobody closes."""
    kept = send()
    with pytest.raises(ChatBusy):
        send()
    assert kept


def test_one_counts_until_it_is_closed() -> None:
    def send() -> Any:
        return download._Chunks(iter("a"), 1)

    first = send()
    with pytest.raises(ChatBusy):
        send()
    for _ in range(2):
        first.close()
    leave_unclosed(send)
    gc.collect()  # The frame that is kept for the exception keeps its variables.
    send().close()


def test_one_that_cannot_begin_does_not_count(db: None) -> None:
    def failing() -> Any:
        raise OperationalError
        yield

    for _ in range(2):
        with pytest.raises(OperationalError):
            download._Chunks(failing(), 1)


def test_one_that_is_closed_sends_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_CHUNK_LENGTH", 1)
    monkeypatch.setattr(download, "CHUNK_LENGTH", 1)
    chunks = download._Chunks(iter("abc"), 1)
    sent = iter(chunks)
    assert next(sent) == b"a"
    chunks.close()
    assert list(sent) == []


def test_the_connection_is_given_back_between_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "FIRST_CHUNK_LENGTH", 1)
    monkeypatch.setattr(download, "CHUNK_LENGTH", 1)
    released: list[None] = []
    monkeypatch.setattr(download, "release_connections", lambda: released.append(None))
    assert b"".join(download._Chunks(iter("abc"), 1)) == b"abc"
    assert len(released) == 3  # Two chunks and the end; the first is the view's.


@pytest.mark.usefixtures("small")
def test_what_goes_meanwhile_is_left_out(alice: Person) -> None:
    threads = [thread_of(alice.user, *"abc", name=name) for name in "1234"]
    pieces = export.as_json(alice.user)
    begun = next(pieces) + next(pieces)
    Message.objects.filter(thread=threads[1], text="b").delete()
    threads[3].delete()
    exported = json.loads(begun + "".join(pieces))["threads"]
    assert [one["name"] for one in exported] == ["1", "2", "3"]
    assert [len(one["messages"]) for one in exported] == [3, 2, 3]


@pytest.mark.usefixtures("small")
def test_it_breaks_off_where_all_was_erased_or_is_elsewhere(alice: Person) -> None:
    for name in "123":
        thread_of(alice.user, name=name)
    pieces = export.as_json(alice.user)
    assert next(pieces) + next(pieces)
    Session.objects.all().delete()
    with pytest.raises(export.SessionGone):
        list(pieces)


@pytest.mark.parametrize(("threads", "messages", "batches"), [(1, 1, 1), (1, 20, 1), (40, 10, 2)])
def test_a_hundred_conversations_are_a_handful_of_queries(
    alice: Person, threads: int, messages: int, batches: int, django_assert_num_queries: Any
) -> None:
    for _ in range(threads):
        thread_of(alice.user, *["Hello"] * messages)
    for name in ("json", "markdown"):
        # The token, the session before and after, the threads once more than there are batches, their messages twice.
        with django_assert_num_queries(4 + 3 * batches):
            body(alice.get(EXPORT, **{"as": name}))
