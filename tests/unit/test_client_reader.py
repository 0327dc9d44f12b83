"""A stream may break at any byte: its reader gets the whole text, once."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.replies import FINISHED, HEADERS, STARTED, THREAD, TURN, encoded, rest
from waldur_chat import errors, events
from waldur_chat.client.answers import Event, Failed
from waldur_chat.client.errors import BrokenStream, ChatError, ConnectionLost, Unreachable
from waldur_chat.client.reader import AnswerReader
from waldur_chat.client.requests import Request, RequestBuilder
from waldur_chat.client.retry import Limits
from waldur_chat.events import (
    Cancelled,
    Delta,
    Finished,
    Reasoning,
    Started,
    StoredMessages,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
)

LIMITS = Limits()
REQUESTS = RequestBuilder("https://chat.example.com/api/", "secret", "chat", LIMITS)
TEXT = ["Grüße", " 🙂\n", "\r\ndata: x\n\n", "\u2028", "end"]
THOUGHTS = ["Hm. ", "Well."]
USAGE = Usage(input_tokens=3, output_tokens=4)
WARNED = Warned(text="Mind the gap.", code="gap")
ENDS = {
    "finished": Finished(reason="stop", usage=USAGE, stored=StoredMessages(question="q", answer="a")),
    "failed": events.Failed(error=errors.ProviderSilent(), usage=None),
    "cancelled": Cancelled(usage=None),
}
EXPIRES = datetime(2026, 12, 1, tzinfo=timezone.utc)
TOOLS = [
    ToolCalled(call_uuid="1", tool="list", arguments={"a": ["é"]}),
    ToolAnswered(call_uuid="1", tool="list", outcome="done", summary="One.", block={"key": "markdown"}),
    ToolCalled(
        call_uuid="2",
        tool="write",
        arguments={"a": 1},
        approval="needed",
        expires=EXPIRES,
        origins={"a": [{"source": "model"}]},
    ),
]
TOLD = [*[Reasoning(text=one) for one in THOUGHTS], Delta(text=TEXT[0]), *TOOLS, *[Delta(text=one) for one in TEXT[1:]]]
ANSWERS: dict[str, list[Any]] = {name: [STARTED, WARNED, *TOLD, end] for name, end in ENDS.items()}


def asking(limits: Limits = LIMITS, text: str = "Hi", **options: object) -> AnswerReader:
    """A reader of a new question."""
    return AnswerReader(REQUESTS, limits, REQUESTS.ask(text, **options))


def connect(reader: AnswerReader, headers: dict[str, str] = HEADERS) -> Request:
    """Take the next request, and answer it with a successful head."""
    request = reader.request()
    reader.head(200, headers, b"")
    return request


def break_off(reader: AnswerReader) -> None:
    """Break the connection."""
    assert 0 < reader.retry_delay(ConnectionError("It broke.")) < 60


def position_of(request: Request) -> int:
    """The position at which this request resumes; it must be one that resumes."""
    assert (request.method, request.url) == ("GET", f"https://chat.example.com/api/chat/turns/{TURN}/events/")
    return int(request.headers["Last-Event-ID"])


def check(read: list[Event], end: str) -> None:
    """Everything was read, once, and in order."""
    assert [event for event in read if isinstance(event, (Started, Warned))] == [STARTED, WARNED] == read[:2]
    assert "".join(event.text for event in read if isinstance(event, Delta)) == "".join(TEXT)
    thoughts = "".join(event.text for event in read if isinstance(event, Reasoning))
    assert "".join(THOUGHTS).startswith(thoughts)
    assert [event for event in read if isinstance(event, (ToolCalled, ToolAnswered))] == TOOLS
    match read[-1]:
        case Failed(error=error):
            assert (end, error.code, error.status, error.retryable) == ("failed", "provider_silent", 504, True)
        case last:
            assert last == ENDS[end]
    assert len([event for event in read if isinstance(event, (Finished, Failed, Cancelled))]) == 1


@pytest.mark.parametrize("end", ANSWERS)
def test_an_answer_that_is_cut_at_any_byte_is_read_whole(end: str) -> None:
    whole = encoded(ANSWERS[end])
    for cut in range(len(whole) + 1):
        reader = asking()
        connect(reader)
        reader.feed(whole[:cut] or b":\n")
        if not reader.has_ended:
            break_off(reader)
            reader.feed(rest(ANSWERS[end], position_of(connect(reader))))
        assert (reader.has_ended, reader.turn, reader.thread) == (True, TURN, THREAD)
        check(list(reader.events), end)


@given(st.lists(st.integers(1, 400), max_size=12), st.integers(1, 50), st.sampled_from([*ANSWERS]))
def test_many_cuts_and_any_pieces_make_no_difference(cuts: list[int], size: int, end: str) -> None:
    reader, stream = asking(), encoded(ANSWERS[end])
    connect(reader)
    for cut in [*cuts, len(stream)]:
        for start in range(0, min(cut, len(stream)), size):
            reader.feed(stream[start : min(start + size, cut)])
        if reader.has_ended:
            break
        break_off(reader)
        stream = rest(ANSWERS[end], position_of(connect(reader)))
    if not reader.has_ended:
        reader.feed(stream)
    check(list(reader.events), end)


def test_thoughts_that_are_told_again_are_given_once() -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED, Reasoning(text="Hm. "), Reasoning(text="We")]))
    break_off(reader)
    connect(reader)
    reader.feed(encoded([STARTED, Reasoning(text="Hm"), Reasoning(text=". Well."), Reasoning(text=" So."), FINISHED]))
    assert list(reader.events)[1:-1] == [Reasoning(text=one) for one in ("Hm. ", "We", "ll.", " So.")]


def test_a_stream_that_ends_without_an_end_is_come_back_to() -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED, Delta(text="half")]))
    with pytest.raises(ConnectionLost) as lost:
        reader.feed(b"")
    assert reader.retry_delay(lost.value) >= 1.0  # As the stream says.
    assert position_of(reader.request()) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        b'id: 3\ndata: {"c":"xx"}\n\n',
        b'id: 5\ndata: {"c":"xx"}\n\n',
        b'data: {"c":"xx"}\n\n',
        b'id: 1\nevent: reasoning\ndata: {"reasoning":"x"}\n\n',
        b'id: 1\nevent: warning\ndata: {"warning":"x","code":"y"}\n\n',
        b'id: 1\nevent: start\ndata: {"turn_uuid":"x"}\n\n',
        b'id: 2\nevent: end\ndata: {"finish_reason":"stop"}\n\n',
    ],
)
def test_an_event_that_is_out_of_place_is_not_given(wrong: bytes) -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED, Delta(text="ab")]))
    with pytest.raises(ConnectionLost):
        reader.feed(wrong)
    assert (len(reader.events), reader.position, reader.has_ended) == (2, 2, False)


def test_what_comes_after_the_end_is_not_given() -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED, FINISHED, Delta(text="more"), FINISHED]))
    assert list(reader.events) == [STARTED, FINISHED]


def test_events_of_later_releases_are_passed_over() -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED]) + b'id: 0\nevent: novelty\ndata: {}\n\ndata: {"d":1}\n\nevent: end\n\n')
    assert list(reader.events) == [STARTED]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"data: {",
        b"data: []",
        b'data: {"c":1}',
        b"data: \xff",
        b"data: " + b"[" * 100_000,
        b"event: end\ndata: {}",
        b"event: start\ndata: null",
    ],
)
def test_nonsense_is_an_error(nonsense: bytes) -> None:
    reader = asking()
    connect(reader)
    with pytest.raises(BrokenStream):
        reader.feed(nonsense + b"\n\n")


def test_an_endless_event_is_an_error() -> None:
    reader = asking(Limits(event_max_bytes=100))
    connect(reader)
    with pytest.raises(BrokenStream, match="endless"):
        reader.feed(b"data: " + b"x" * 100)


def test_a_page_is_no_stream() -> None:
    with pytest.raises(BrokenStream):
        asking().head(200, {"content-type": "text/html"}, b"")


def test_a_question_whose_response_was_lost_is_asked_again_with_its_key() -> None:
    reader = asking(key="mine")
    first = reader.request()
    break_off(reader)
    assert reader.request() == first
    assert (first.method, first.headers["Idempotency-Key"]) == ("POST", "mine")


def test_every_question_has_a_key_of_its_own() -> None:
    assert asking().request().headers["Idempotency-Key"] != asking().request().headers["Idempotency-Key"]


def test_a_turn_is_known_by_its_first_event_where_the_head_does_not_tell() -> None:
    reader = asking()
    connect(reader, {"content-type": "text/event-stream"})
    assert (reader.turn, reader.is_resumable) == ("", False)
    reader.feed(encoded([STARTED]))
    assert (reader.turn, reader.thread, reader.is_resumable) == (TURN, THREAD, True)


def test_a_turn_that_ends_with_its_reader_is_lost_with_the_connection() -> None:
    reader = asking()
    connect(reader, {"content-type": "text/event-stream"})
    reader.feed(encoded([Started(turn=TURN)]))
    with pytest.raises(Unreachable, match="stores no answers") as lost:
        reader.retry_delay(ConnectionError())
    assert lost.value.retryable


def test_a_resumed_turn_gives_the_rest() -> None:
    reader = AnswerReader(REQUESTS, LIMITS, turn=TURN, position=3)
    assert position_of(connect(reader)) == 3
    reader.feed(rest([STARTED, Delta(text="abcdef"), FINISHED], 3))
    assert list(reader.events) == [STARTED, Delta(text="def"), FINISHED]


def test_nothing_more_to_come_is_the_end() -> None:
    reader = AnswerReader(REQUESTS, LIMITS, turn=TURN)
    reader.request()
    reader.head(204, {}, b"")
    assert (reader.has_ended, list(reader.events)) == (True, [])


def refused(reader: AnswerReader, status: int, code: str = "", **headers: str) -> Exception:
    """What the reader makes of a refusal."""
    body = json.dumps({"detail": "No.", "code": code}).encode() if code else b"<html>"
    with pytest.raises((ChatError, ConnectionLost)) as refusal:
        reader.head(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    return refusal.value


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (503, "chat_busy"),
        (429, "throttled"),
        (502, "provider_failed"),
        (401, "not_authenticated"),
        (500, ""),
        (404, ""),
    ],
)
def test_a_new_question_that_is_refused_is_not_asked_again(status: int, code: str) -> None:
    error = refused(asking(), status, code)
    assert isinstance(error, ChatError)
    assert (error.status, error.code) == (status, code)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_says_nothing_of_a_question(status: int) -> None:
    assert isinstance(refused(asking(), status), ConnectionLost)


@pytest.mark.parametrize(
    ("status", "code", "is_final"),
    [
        (503, "server_stopping", False),
        (503, "chat_busy", False),
        (429, "throttled", False),
        (429, "", False),
        (500, "", False),
        (502, "", False),
        (503, "interrupted", True),
        (502, "provider_failed", True),
        (404, "turn_not_found", True),
        (422, "idempotency_key_reused", True),
        (403, "", True),
    ],
)
def test_a_resumed_turn_waits_for_transient_errors(status: int, code: str, is_final: bool) -> None:
    reader = asking()
    reader.request()
    break_off(reader)
    error = refused(reader, status, code, retry_after="7")
    assert isinstance(error, ChatError) == is_final
    if is_final:
        with pytest.raises(ChatError):
            reader.retry_delay(error)
    else:
        assert reader.retry_delay(error) == 7.0


def test_patience_ends_with_what_was_said_last() -> None:
    reader = AnswerReader(REQUESTS, LIMITS, turn=TURN)
    reader.request()
    with pytest.raises(ChatError, match=r"No\.") as given_up:
        reader.retry_delay(refused(reader, 503, "chat_busy", retry_after="61"))
    assert (given_up.value.code, given_up.value.retryable) == ("chat_busy", True)


def test_a_failure_without_words_is_told_by_its_kind() -> None:
    reader = asking(Limits(patience_seconds=0.0))
    with pytest.raises(Unreachable, match="ConnectionError"):
        reader.retry_delay(ConnectionError())


def test_thoughts_that_the_server_leaves_out_are_skipped() -> None:
    reader = asking()
    connect(reader)
    reader.feed(encoded([STARTED, Delta(text="Hm.")]))
    break_off(reader)
    assert position_of(connect(reader)) == 3
    reader.feed(encoded([STARTED, Delta(text="Hello"), FINISHED], 10))
    read = [reader.next_event() for _ in range(4)]
    assert [event.text for event in read if isinstance(event, Delta)] == ["Hm.", "Hello"]
    assert reader.position == reader.consumed == 15


def test_a_start_whose_id_is_no_position_is_no_start() -> None:
    reader = asking()
    connect(reader)
    with pytest.raises(ConnectionLost, match="'begin'"):
        reader.feed(b'id: begin\nevent: start\ndata: {"turn_uuid": "ab"}\n\n')
    assert reader.position == 0
