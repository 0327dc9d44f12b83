"""Every event has an encoding in every format."""

from __future__ import annotations

from typing import get_args

import pytest

from waldur_chat.conf import STREAM_FORMATS
from waldur_chat.errors import ProviderFailed
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
    Usage,
)
from waldur_chat.wire.base import dump, stored_fields, usage_fields
from waldur_chat.wire.encoders import ENCODERS

USAGE = Usage(input_tokens=7, output_tokens=5)
EVENTS: dict[type, Event] = {
    Started: Started(turn="0" * 32),
    Delta: Delta(text="Grüße 🙂"),
    Reasoning: Reasoning(text="Hm."),
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
def test_the_beginning_names_the_conversation(name: str) -> None:
    assert b'"thread_uuid":"cd"' in ENCODERS[name]().encode(1, Started(turn="ab", thread="cd"))
    assert b"thread" not in ENCODERS[name]().encode(1, Started(turn="ab"))
