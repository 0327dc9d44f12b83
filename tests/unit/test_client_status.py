"""The client says how an answer ended."""

from __future__ import annotations

import pytest

from tests.unit.replies import HEADERS, STARTED, encoded
from waldur_chat import errors, events
from waldur_chat.client.answers import collect
from waldur_chat.client.reader import AnswerReader, StreamPosition
from waldur_chat.client.requests import RequestBuilder
from waldur_chat.client.retry import Limits
from waldur_chat.events import Cancelled, Event, Finished

LIMITS = Limits()
REQUESTS = RequestBuilder("https://chat.example.com/api/", "secret", "chat", LIMITS)


def reading(*told: Event) -> AnswerReader:
    """A reader to whom the server has told these events."""
    reader = AnswerReader(REQUESTS, LIMITS, REQUESTS.ask("Hi"))
    reader.request()
    reader.head(200, HEADERS, b"")
    reader.feed(encoded(told))
    return reader


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (Finished(reason="stop", usage=None), "complete"),
        (Finished(reason="length", usage=None), "length"),
        (Finished(reason="content_filter", usage=None), "filtered"),
        (events.Failed(error=errors.ProviderFailed(), usage=None), "failed"),
        (events.Failed(error=errors.TurnInterrupted(), usage=None), "interrupted"),
        (Cancelled(usage=None), "stopped"),
    ],
)
def test_a_stream_has_the_status_of_its_last_event(end: Event, status: str) -> None:
    assert StreamPosition(reading(STARTED, end)).status == status


def test_a_stream_has_no_status_before_its_end() -> None:
    assert StreamPosition(reading(STARTED)).status is None


def test_a_stream_that_its_reader_ends_was_stopped() -> None:
    reader = reading(STARTED)
    reader.end_cancelled()
    assert StreamPosition(reader).status == "stopped"


@pytest.mark.parametrize(("reason", "status"), [("stop", "complete"), ("length", "length")])
def test_a_collected_answer_has_the_status_of_its_end(reason: str, status: str) -> None:
    assert collect([Finished(reason=reason, usage=None)], "turn", "thread").status == status
