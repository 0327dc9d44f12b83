"""Newline-delimited JSON, as current clients read it (contract section 2)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_encoders import EVENTS, USAGE
from waldur_chat.errors import ProviderBusy, TurnCancelled
from waldur_chat.events import Cancelled, Delta, Event, Failed, Finished, Reasoning, Started
from waldur_chat.wire.ndjson import NDJSONEncoder


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        (Started(turn="ab"), {"m": {"turn_uuid": "ab"}}),
        (Delta(text="Hi"), {"k": "markdown", "c": "Hi"}),
        (Finished(reason="length", usage=None), {"m": {"finish_reason": "length"}}),
        (
            Finished(reason="stop", usage=USAGE),
            {"m": {"finish_reason": "stop", "input_tokens": 7, "output_tokens": 5}},
        ),
        (Failed(error=ProviderBusy("429"), usage=None), {"e": ProviderBusy.sentence, "code": "provider_busy"}),
        (Cancelled(usage=None), {"e": TurnCancelled.sentence, "code": "cancelled"}),
    ],
)
def test_each_event_is_an_object(event: Event, payload: object) -> None:
    assert json.loads(NDJSONEncoder().encode(1, event)) == payload


def test_reasoning_is_not_shown_since_no_client_knows_it() -> None:
    assert NDJSONEncoder().encode(1, Reasoning(text="Hm")) == b""


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: type(event).__name__)
def test_every_line_is_ended(event: Event) -> None:
    assert NDJSONEncoder().encode(1, event)[-1:] in (b"\n", b"")


@given(st.text())
def test_any_text_is_one_line(text: str) -> None:
    (line,) = NDJSONEncoder().encode(1, Delta(text=text)).decode().splitlines()
    assert json.loads(line)["c"] == text


def test_a_heartbeat_is_an_empty_line() -> None:
    assert NDJSONEncoder.heartbeat == b"\n"
