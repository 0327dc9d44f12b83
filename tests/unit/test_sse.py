"""Server-sent events: right for a standards parser, and for the clients of 2025 (contract section 1)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_encoders import EVENTS, USAGE
from waldur_chat.errors import ProviderBusy, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started, StoredMessages
from waldur_chat.wire.sse import SSEEncoder
from waldur_chat.wire.sse_decoder import ServerSentEvent, SSEDecoder

STORED = StoredMessages(question="q", answer="a")


def encode(*events: Event) -> bytes:
    return b"".join(SSEEncoder().encode(number, event) for number, event in enumerate(events, 1))


def decode(data: bytes) -> list[ServerSentEvent]:
    return list(SSEDecoder().feed(data))


def lines_of_2025(data: bytes) -> list[dict[str, object]]:
    """What a client of 2025 reads."""
    return [json.loads(line[6:]) for line in data.decode().split("\n") if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("event", "name", "payload"),
    [
        (Started(turn="ab"), "start", {"turn_uuid": "ab", "ai_generated": True}),
        (
            Started(turn="ab", thread="cd"),
            "start",
            {"turn_uuid": "ab", "thread_uuid": "cd", "ai_generated": True},
        ),
        (Delta(text="Hi"), "message", {"c": "Hi"}),
        (Reasoning(text="Hm"), "reasoning", {"reasoning": "Hm"}),
        (
            Finished(reason="stop", usage=None),
            "end",
            {"c": "", "finish_reason": "stop", "status": "complete", "additional_kwargs": {}},
        ),
        (
            Failed(error=ProviderBusy("429"), usage=USAGE),
            "error",
            {
                "detail": ProviderBusy.sentence,
                "code": "provider_busy",
                "retryable": True,
                "status": "failed",
                "additional_kwargs": {"usage_metadata": {"input_tokens": 7, "output_tokens": 5}},
            },
        ),
        (
            Cancelled(usage=None),
            "cancelled",
            {"detail": TurnCancelled.sentence, "code": "cancelled", "retryable": True, "status": "stopped"},
        ),
    ],
)
def test_each_event_has_its_name_and_payload(event: Event, name: str, payload: object) -> None:
    (decoded,) = decode(encode(event))
    assert (decoded.name, json.loads(decoded.data)) == (name, payload)


@pytest.mark.parametrize(
    "end",
    [
        Finished(reason="stop", usage=None, stored=STORED),
        Failed(error=ProviderBusy(), usage=None, stored=STORED),
        Cancelled(usage=None, stored=STORED),
    ],
    ids=lambda event: type(event).__name__,
)
def test_every_end_tells_where_question_and_answer_are_stored(end: Event) -> None:
    (payload,) = lines_of_2025(encode(end))
    assert (payload["user_message_uuid"], payload["assistant_message_uuid"]) == ("q", "a")


def test_usage_stands_where_clients_of_2025_look_for_it() -> None:
    (payload,) = lines_of_2025(encode(Finished(reason="stop", usage=USAGE)))
    assert payload["additional_kwargs"] == {"usage_metadata": {"input_tokens": 7, "output_tokens": 5}}


def test_events_are_numbered() -> None:
    assert encode(*EVENTS.values()).count(b"id: ") == len(EVENTS)
    assert encode(Delta(text="a"), Delta(text="b")) == b'id: 1\ndata: {"c":"a"}\n\nid: 2\ndata: {"c":"b"}\n\n'


@given(st.text())
def test_any_text_is_one_line_for_both_readers(text: str) -> None:
    data = encode(Delta(text=text))
    assert [json.loads(event.data) for event in decode(data)] == lines_of_2025(data) == [{"c": text}]


@given(st.text())
def test_no_text_makes_a_line_that_some_reader_would_split(text: str) -> None:
    data = encode(Delta(text=text))
    assert len(data.decode().splitlines()) == 3


def test_a_keep_alive_is_no_event() -> None:
    assert decode(SSEEncoder.keep_alive * 3) == []


def test_a_keep_alive_is_nothing_to_clients_of_2025() -> None:
    assert lines_of_2025(SSEEncoder.keep_alive) == []
