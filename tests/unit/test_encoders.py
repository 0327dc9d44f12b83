"""Every event has an encoding in every format."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, get_args

import pytest

from waldur_chat.conf import STREAM_FORMATS
from waldur_chat.errors import ProviderFailed, TurnInterrupted
from waldur_chat.events import (
    Cancelled,
    Delta,
    Event,
    Failed,
    Finished,
    Reasoning,
    Started,
    StoredMessages,
    Terminal,
    ToolAnswered,
    ToolCalled,
    Usage,
    Warned,
)
from waldur_chat.wire.base import dump, stored_fields, usage_fields
from waldur_chat.wire.encoders import ENCODERS

USAGE = Usage(input_tokens=7, output_tokens=5)
EVENTS: dict[type, Event] = {
    Started: Started(turn="0" * 32),
    Warned: Warned(text="Mind the gap."),
    Delta: Delta(text="Grüße 🙂"),
    Reasoning: Reasoning(text="Hm."),
    ToolCalled: ToolCalled(call_uuid="a" * 32, tool="project-list", arguments={"name": "é"}),
    ToolAnswered: ToolAnswered(call_uuid="a" * 32, tool="project-list", outcome="done", summary="1 project"),
    Finished: Finished(reason="stop", usage=USAGE),
    Failed: Failed(error=ProviderFailed("sk-secret"), usage=USAGE),
    Cancelled: Cancelled(usage=None),
}
SEEN_BY_PEOPLE_ONLY = ("text", Finished)


def test_the_settings_name_every_format() -> None:
    assert tuple(ENCODERS) == STREAM_FORMATS


def test_every_event_is_tried_here() -> None:
    assert set(EVENTS) == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("name", ENCODERS)
def test_every_event_has_an_encoding(name: str, event: Event) -> None:
    assert isinstance(ENCODERS[name]().encode(1, event), bytes)


@pytest.mark.parametrize("event", get_args(Terminal))
@pytest.mark.parametrize("name", ENCODERS)
def test_every_end_is_shown(name: str, event: type) -> None:
    assert ENCODERS[name]().encode(1, EVENTS[event]) or (name, event) == SEEN_BY_PEOPLE_ONLY


@pytest.mark.parametrize("name", ENCODERS)
def test_a_failure_tells_its_sentence_and_never_its_message(name: str) -> None:
    shown = ENCODERS[name](str.upper).encode(1, EVENTS[Failed])
    assert ProviderFailed.sentence.upper().encode() in shown
    assert b"secret" not in shown


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sse", b'id: 1\nevent: warning\ndata: {"warning":"MIND THE GAP.","code":"history_shortened"}\n\n'),
        ("ndjson", b'{"w":"MIND THE GAP."}\n'),
        ("text", b""),
    ],
)
def test_a_warning_is_told_in_the_language_of_the_reader(name: str, expected: bytes) -> None:
    assert ENCODERS[name](str.upper).encode(1, EVENTS[Warned]) == expected


CALL = b'"call_uuid":"%b","tool":"project-list"' % (b"a" * 32)
ARGUMENTS = b'"arguments":{"name":"\\u00e9"},"approval":null,"expires":null'
RESULT = b'"outcome":"done","summary":"1 project"'


@pytest.mark.parametrize(
    ("name", "event", "expected"),
    [
        ("sse", ToolCalled, b"id: 1\nevent: tool_call\ndata: {%b,%b}\n\n" % (CALL, ARGUMENTS)),
        ("sse", ToolAnswered, b"id: 1\nevent: tool_result\ndata: {%b,%b}\n\n" % (CALL, RESULT)),
        ("ndjson", ToolCalled, b'{"k":"tool_call",%b,%b}\n' % (CALL, ARGUMENTS)),
        ("ndjson", ToolAnswered, b'{"k":"tool_result",%b,%b}\n' % (CALL, RESULT)),
        ("text", ToolCalled, b""),
        ("text", ToolAnswered, b""),
    ],
)
def test_calls_of_tools_are_told_without_text(name: str, event: type, expected: bytes) -> None:
    assert ENCODERS[name]().encode(1, EVENTS[event]) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sse", b',"block":{"links":[],"key":"homeport_nav"}}\n\n'), ("ndjson", b'}\n{"k":"homeport_nav","links":[]}\n')],
)
def test_what_a_result_shows_is_told_with_it(name: str, expected: bytes) -> None:
    block = {"links": [], "key": "homeport_nav"}
    answered = ToolAnswered(call_uuid="1", tool="t", outcome="done", block=block)
    assert ENCODERS[name]().encode(1, answered).endswith(expected)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "context": "For the\nmachine.",
                "questions": [
                    {"question": "Which size?", "options": [{"label": "S"}, {"label": "L"}]},
                    {"question": "Which name?"},
                ],
            },
            "\n\nFor the machine.\n- Which size? (S, L)\n- Which name?\n",
        ),
        ({"context": "", "questions": [7, {"question": None, "options": "ab"}]}, "\n\n- \n"),
        ({"questions": None}, ""),
    ],
)
def test_a_text_has_the_questions_of_a_form(fields: Any, expected: str) -> None:
    block = {"key": "ask_user_form", **fields}
    answered = ToolAnswered(call_uuid="1", tool="t", outcome="done", block=block)
    assert ENCODERS["text"]().encode(1, answered).decode() == expected


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_a_call_that_waits_says_until_when(name: str) -> None:
    expires = datetime(2026, 12, 1, tzinfo=timezone.utc)
    call = ToolCalled(call_uuid="a", tool="b", arguments={}, approval="needed", expires=expires)
    assert b'"approval":"needed","expires":"2026-12-01T00:00:00+00:00"' in ENCODERS[name]().encode(1, call)


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_a_call_that_waits_says_where_its_arguments_come_from(name: str) -> None:
    origins = {"a": [{"source": "result", "tool": "list"}]}
    call = ToolCalled(call_uuid="a", tool="b", arguments={"a": "x"}, approval="needed", origins=origins)
    assert b'"origins":{"a":[{"source":"result","tool":"list"}]}' in ENCODERS[name]().encode(1, call)


@pytest.mark.parametrize("name", ENCODERS)
def test_the_answer_arrives_as_it_was_written(name: str) -> None:
    shown = ENCODERS[name]().encode(1, EVENTS[Delta])
    assert "Grüße 🙂" in (
        shown.decode()
        if name == "text"
        else shown.decode("unicode-escape").encode("utf-16", "surrogatepass").decode("utf-16")
    )


def test_media_types_are_unique() -> None:
    assert len({encoder.media_type for encoder in ENCODERS.values()}) == len(ENCODERS)


def test_json_is_one_compact_line_of_ascii() -> None:
    assert dump({"a": "é\u2028\n", "b": 1}) == b'{"a":"\\u00e9\\u2028\\n","b":1}'


def test_usage_that_nobody_reported_has_no_fields() -> None:
    assert usage_fields(None) == {}


def test_usage_has_the_names_of_both_eras() -> None:
    assert usage_fields(USAGE) == {"input_tokens": 7, "output_tokens": 5}


@pytest.mark.parametrize(
    ("stored", "fields"),
    [
        (None, {}),
        (StoredMessages(), {}),
        (StoredMessages(question="q"), {"user_message_uuid": "q"}),
        (StoredMessages(question="q", answer="a"), {"user_message_uuid": "q", "assistant_message_uuid": "a"}),
    ],
)
def test_only_messages_that_are_stored_are_named(stored: StoredMessages | None, fields: dict[str, str]) -> None:
    assert stored_fields(stored) == fields


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_the_beginning_has_the_notice(name: str) -> None:
    shown = ENCODERS[name](notice="An AI writes.").encode(0, EVENTS[Started])
    assert b'"ai_generated":true,"notice":"An AI writes."' in shown


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_the_beginning_marks_the_answer_without_a_notice(name: str) -> None:
    shown = ENCODERS[name]().encode(0, EVENTS[Started])
    assert b'"ai_generated":true' in shown
    assert b"notice" not in shown


def test_a_text_has_nothing_but_the_answer() -> None:
    assert ENCODERS["text"](notice="An AI writes.").encode(0, EVENTS[Started]) == b""


@pytest.mark.parametrize("name", ["sse", "ndjson"])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Finished(reason="stop", usage=None), b"complete"),
        (Finished(reason="eos", usage=None), b"complete"),
        (Finished(reason="length", usage=None), b"length"),
        (Finished(reason="content_filter", usage=None), b"filtered"),
        (Failed(error=ProviderFailed(), usage=None), b"failed"),
        (Failed(error=TurnInterrupted(), usage=None), b"interrupted"),
        (Cancelled(usage=None), b"stopped"),
    ],
)
def test_the_end_has_the_status_of_the_answer(name: str, end: Event, status: bytes) -> None:
    assert b'"status":"%b"' % status in ENCODERS[name]().encode(1, end)


@pytest.mark.parametrize("name", ["sse", "ndjson"])
def test_the_beginning_names_the_conversation(name: str) -> None:
    assert b'"thread_uuid":"cd"' in ENCODERS[name]().encode(1, Started(turn="ab", thread="cd"))
    assert b"thread" not in ENCODERS[name]().encode(1, Started(turn="ab"))
