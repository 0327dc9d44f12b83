"""Newline-delimited JSON, as current clients read it (contract section 2)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_encoders import EVENTS, USAGE
from waldur_chat.errors import ChatError, ProviderBusy, TurnCancelled, TurnInterrupted
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started, StoredMessages
from waldur_chat.wire.ndjson import NDJSONEncoder


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (Started(turn="ab"), {"m": {"turn_uuid": "ab", "ai_generated": True}}),
        (
            Started(turn="ab", thread="cd"),
            {"m": {"thread_uuid": "cd", "turn_uuid": "ab", "ai_generated": True}},
        ),
        (Delta(text="Hi"), {"k": "markdown", "c": "Hi"}),
        (Finished(reason="length", usage=None), {"m": {"status": "length", "finish_reason": "length"}}),
        (
            Finished(reason="stop", usage=USAGE),
            {"m": {"status": "complete", "finish_reason": "stop", "input_tokens": 7, "output_tokens": 5}},
        ),
        (
            Finished(reason="stop", usage=None, stored=StoredMessages(question="q", answer="a")),
            {
                "m": {
                    "user_message_uuid": "q",
                    "assistant_message_uuid": "a",
                    "status": "complete",
                    "finish_reason": "stop",
                }
            },
        ),
    ],
)
def test_each_event_is_an_object(event: Event, payload: object) -> None:
    assert json.loads(NDJSONEncoder().encode(1, event)) == payload


@pytest.mark.parametrize(
    ("end", "error", "status"),
    [
        (Failed(error=ProviderBusy("429"), usage=None), ProviderBusy, "failed"),
        (Failed(error=TurnInterrupted(), usage=None), TurnInterrupted, "interrupted"),
        (Cancelled(usage=None), TurnCancelled, "stopped"),
    ],
)
def test_an_error_is_an_object_and_the_status_another(end: Event, error: type[ChatError], status: str) -> None:
    lines = [json.loads(line) for line in NDJSONEncoder().encode(1, end).splitlines()]
    assert lines == [{"e": error.sentence, "code": error.code}, {"m": {"status": status}}]


def test_reasoning_is_not_shown_since_no_client_knows_it() -> None:
    assert NDJSONEncoder().encode(1, Reasoning(text="Hm")) == b""


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
def test_every_line_is_ended(event: Event) -> None:
    assert NDJSONEncoder().encode(1, event)[-1:] in (b"\n", b"")


@given(st.text())
def test_any_text_is_lines_of_objects(text: str) -> None:
    for line in shown(Delta(text=text), Finished(reason="stop", usage=None)).decode().splitlines():
        assert isinstance(json.loads(line), dict)


@given(st.text(st.characters(exclude_characters="`~\r\n")))
def test_markdown_arrives_as_it_was_written(text: str) -> None:
    lines = shown(Delta(text=text), Finished(reason="stop", usage=None)).splitlines()
    assert "".join(json.loads(line)["c"] for line in lines[:-1]) == text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("```python\nx = 1\n```\n", [{"k": "load", "t": "code"}, {"k": "code", "t": "python", "c": "x = 1"}]),
        ("```mermaid\na-->b\n```\n", [{"k": "load", "t": "mermaid"}, {"k": "mermaid", "c": "a-->b"}]),
    ],
)
def test_code_comes_whole_after_it_was_announced(text: str, lines: list[object]) -> None:
    encoded = shown(*(Delta(text=letter) for letter in text))
    assert [json.loads(line) for line in encoded.splitlines()] == lines


@pytest.mark.parametrize(
    "end", [Failed(error=ProviderBusy(), usage=None), Cancelled(usage=None)], ids=lambda event: type(event).__name__
)
def test_what_was_said_of_a_block_comes_before_the_error(end: Event) -> None:
    lines = shown(Delta(text="```python\nx = 1"), end).splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == ["k", "k", "e", "m"]


def test_where_a_broken_answer_is_stored_is_told_after_the_error() -> None:
    lines = shown(Failed(error=ProviderBusy(), usage=None, stored=StoredMessages(answer="a"))).splitlines()
    assert [json.loads(line).get("m") for line in lines] == [None, {"assistant_message_uuid": "a", "status": "failed"}]


def test_a_keep_alive_is_an_empty_line() -> None:
    assert NDJSONEncoder.keep_alive == b"\n"


def shown(*events: Event) -> bytes:
    """All that one encoder makes of these events."""
    encoder = NDJSONEncoder()
    return b"".join(encoder.encode(number, event) for number, event in enumerate(events, 1))
