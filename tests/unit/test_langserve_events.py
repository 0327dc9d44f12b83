"""LangServe's streams, from bytes recorded of the real one (0.3.3) and those of contract section 3."""

from __future__ import annotations

import json

import pytest

from tests.unit.recorded import ALL_CUTS, LINE_ENDS, Outcome, outcome, stream
from waldur_chat.errors import (
    ProviderBusy,
    ProviderFailed,
    ProviderIncomplete,
    ProviderRefused,
    ProviderRefusedQuestion,
)
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
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


@pytest.mark.parametrize("line_end", ALL_CUTS)
@pytest.mark.parametrize("name", STREAMS)
def test_every_cut_gives_the_same_events(name: str, line_end: str) -> None:
    data = stream(name, line_end)
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == STREAMS[name]


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("name", STREAMS)
def test_single_bytes_give_the_same_events(name: str, line_end: str) -> None:
    data = stream(name, line_end)
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
    assert str(raised.value) == "The stream holds an error (500)."


def test_events_of_other_names_are_not_read() -> None:
    assert read(b"event: metadata\ndata: {\n\ndata: {\n\nevent: end\n\n") == ([], None)


def said(*contents: object, reason: str = "stop") -> bytes:
    """A stream of chunks with these contents."""
    chunks: list[dict[str, object]] = [{"content": content} for content in contents]
    chunks.append({"content": "", "response_metadata": {"finish_reason": reason}})
    return (
        b"".join(b"event: data\ndata: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks) + b"event: end\n\n"
    )


STOP = Stopped(reason="stop")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (said("<thi", "nk>Hm.</think>\n", "Hi"), ([Reasoning(text="Hm."), Delta(text="Hi"), STOP], None)),
        (
            said([{"type": "thinking", "thinking": "Hm."}, "Hi"]),
            ([Reasoning(text="Hm."), Delta(text="Hi"), STOP], None),
        ),
        (said("a", reason="MAX_TOKENS"), ([Delta(text="a"), Stopped(reason="length")], None)),
        (said("a", reason="error"), ([Delta(text="a")], ProviderFailed)),
        (said("<think>Hm.</thi"), ([Reasoning(text="Hm."), STOP, Reasoning(text="</thi"), STOP], None)),
        (said("<thi", reason=""), ([Delta(text="<thi")], None)),
    ],
)
def test_thoughts_and_ends_are_read_as_of_other_services(data: bytes, told: Outcome) -> None:
    assert read(data) == told


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (b'{"status_code": 400, "message": "bad"}', ProviderRefusedQuestion),
        (b'{"status_code": 401, "message": "no"}', ProviderRefused),
        (b"plain text", ProviderFailed),
    ],
)
def test_a_refusal_means_what_its_status_means(error: bytes, kind: type) -> None:
    assert read(b"event: error\ndata: " + error + b"\n\n") == ([], kind)
