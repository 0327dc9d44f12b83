"""LangServe's streams, from bytes recorded of the real one (0.3.3) and those of contract section 3."""

from __future__ import annotations

import pytest

from tests.unit.recorded import LINE_ENDS, Outcome, outcome, stream
from waldur_chat.errors import ProviderBusy, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Stopped, Usage
from waldur_chat.providers.langserve_events import LangServeReader

GREETING: list[ProviderEvent] = [Delta(text=piece) for piece in ("Grüße", ", 世界", " 🙂!", "\n\nline\u2028two")]
STREAMS: dict[str, Outcome] = {
    "langserve-recorded-good": (
        [*GREETING, Usage(input_tokens=9, output_tokens=4), Stopped(reason="stop")],
        None,
    ),
    "langserve-recorded-text": (GREETING, None),
    "langserve-recorded-bad": ([Delta(text="Half an")], ProviderFailed),
    "langserve-2025": (
        [
            Delta(text="Ein VPC"),
            Delta(text=" ist ein"),
            Usage(input_tokens=3, output_tokens=2),
            Usage(input_tokens=11, output_tokens=2),
            Stopped(reason="length"),
        ],
        None,
    ),
}


def read(*pieces: bytes) -> Outcome:
    return outcome(LangServeReader(), pieces)


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_gives_the_same_events(name: str, line_end: str) -> None:
    data = stream(name, line_end)
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == STREAMS[name]


@pytest.mark.parametrize("name", STREAMS)
def test_single_bytes_give_the_same_events(name: str) -> None:
    data = stream(name)
    assert read(*(data[index : index + 1] for index in range(len(data)))) == STREAMS[name]


def test_a_stream_without_its_end_is_incomplete() -> None:
    assert read(b'event: data\r\ndata: "Half"\r\n\r\n') == ([Delta(text="Half")], ProviderIncomplete)


@pytest.mark.parametrize("data", [b"{", b"", b"[" * 100_000])
def test_what_is_not_json_fails(data: bytes) -> None:
    assert read(b"event: data\r\ndata: " + data + b"\r\n\r\n") == ([], ProviderFailed)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (b'{"status_code": 500, "message": "Internal Server Error"}', ProviderFailed),
        (b'{"status_code": 429, "message": "slow down"}', ProviderBusy),
        (b'{"status_code": 503}', ProviderBusy),
        (b'"what?"', ProviderFailed),
    ],
)
def test_a_reported_error_is_told(error: bytes, kind: type) -> None:
    assert read(b"event: error\r\ndata: " + error + b"\r\n\r\n") == ([], kind)


def test_the_services_message_stays_out_of_the_error() -> None:
    with pytest.raises(ProviderFailed) as raised:
        list(LangServeReader().feed(b'event: error\ndata: {"status_code": 500, "message": "secret"}\n\n'))
    assert str(raised.value) == "The service reported an error with status 500."


def test_events_of_other_names_are_not_read() -> None:
    assert read(b"event: metadata\ndata: {\n\ndata: {\n\nevent: end\n\n") == ([], None)
