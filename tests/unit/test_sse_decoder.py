"""The decoder gives the same events however the bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.recorded import BYTES, LINE_ENDS
from waldur_chat.errors import ProviderFailed
from waldur_chat.wire.sse_decoder import MAX_EVENT_BYTES, ServerSentEvent, SSEDecoder, event_limit

STREAM = (
    "\ufeff: hi\nid: 1\ndata: Grüße\ndata:  🙂\n\nevent: end\n\ndata\n\nretry: 5\n\n: -\n\nevent:x\ndata:y\n\n".encode()
)
EVENTS = [
    ServerSentEvent(name="message", data="Grüße\n 🙂".encode()),
    ServerSentEvent(name="end", data=b""),
    ServerSentEvent(name="message", data=b""),
    ServerSentEvent(name="x", data=b"y"),
]


def decode(*chunks: bytes) -> list[ServerSentEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)]


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_every_cut_gives_the_same_events(line_end: str) -> None:
    stream = STREAM.replace(b"\n", BYTES[line_end])
    for cut in range(len(stream) + 1):
        assert decode(stream[:cut], stream[cut:]) == EVENTS


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_single_bytes_give_the_same_events(line_end: str) -> None:
    stream = STREAM.replace(b"\n", BYTES[line_end])
    assert decode(*(stream[index : index + 1] for index in range(len(stream)))) == EVENTS


@given(st.lists(st.sampled_from([*b"dat:ev n\r\n\r\n", 0xEF, 0xBB, 0xBF])).map(bytes), st.data())
def test_the_cuts_do_not_matter(stream: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(stream)))
    assert decode(stream[:cut], b"", stream[cut:]) == decode(stream)


@given(st.lists(st.binary(max_size=20)))
def test_no_bytes_break_it(chunks: list[bytes]) -> None:
    assert all(event.name for event in decode(*chunks))


def test_an_event_that_was_not_ended_is_not_given() -> None:
    assert decode(b"data: half") == decode(b"data: half\n") == []


def test_a_byte_order_mark_counts_at_the_very_beginning_only() -> None:
    assert decode(b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n") == [ServerSentEvent(name="message", data=b"a")]


def test_a_name_that_is_not_utf8_is_replaced() -> None:
    assert decode(b"event: \xff\n\n") == [ServerSentEvent(name="\ufffd", data=b"")]


def test_a_long_line_is_read() -> None:
    (event,) = decode(*[b"data: ", *[b"x" * 1_000] * 100, b"\n\n"])
    assert len(event.data) == 100_000


LIMIT = 128 * 1024


ENDLESS = [
    b"x" * (LIMIT + 1),
    b": " + b"x" * LIMIT,
    b"data\n" * (LIMIT // 4 + 1),
    b"data: x\ndata: " + b"x" * (LIMIT - 12),
    b"event: x\ndata: x\r\n" * (LIMIT // 15 + 1),
    b"event: " + b"x" * (LIMIT - 10) + b"\ndata: x",
]
SIZES = [1, 1000, 65536, 2 * LIMIT]
ENDS = ["", "\n", "\n\n"]


@pytest.mark.parametrize(
    ("endless", "size", "end"),  # The ends by turns: each meets each event, and each size.
    [(endless, size, ENDS[(n + m) % 3]) for n, endless in enumerate(ENDLESS) for m, size in enumerate(SIZES)],
    ids=[f"{n}-{size}" for n in range(len(ENDLESS)) for size in SIZES],
)
def test_an_endless_event_fails_after_those_before_it(endless: bytes, size: int, end: str) -> None:
    stream, events = b"data: a\n\n" + endless + end.encode(), []
    with pytest.raises(ProviderFailed, match="endless"):  # noqa: PT012  (the events before the error count)
        decoder = SSEDecoder(LIMIT)
        for index in range(0, len(stream), size):
            for event in decoder.feed(stream[index : index + size]):
                events.append(event)  # noqa: PERF402  (extend() would lose those before an error)
    assert events == [ServerSentEvent(name="message", data=b"a")]


@pytest.mark.parametrize("size", [1, 1000, 2 * LIMIT])
def test_an_event_of_just_the_largest_size_is_read(size: int) -> None:
    stream = b"event: x\ndata: " + b"x" * (LIMIT - 14) + b"\n\n"
    decoder = SSEDecoder(LIMIT)
    pieces = [stream[index : index + size] for index in range(0, len(stream), size)] * 2
    events = [event for piece in pieces for event in decoder.feed(piece)]
    assert [len(event.data) for event in events] == [LIMIT - 14] * 2


def test_an_event_may_hold_a_text_in_escapes_and_what_surrounds_it() -> None:
    assert event_limit(1000) == MAX_EVENT_BYTES + 1000 * len(r"\ud83d\ude42")


def test_comments_may_go_on_for_ever() -> None:
    (event,) = decode(b"data: a\n", *[b": ping\n" * 1000] * 100, b"\n")
    assert event.data == b"a"


def ids(stream: bytes) -> list[str]:
    decoder = SSEDecoder()
    return [decoder.last_id for byte in stream for _ in decoder.feed(bytes([byte]))]


@pytest.mark.parametrize("line_end", LINE_ENDS)
def test_an_id_holds_until_the_next_one(line_end: str) -> None:
    stream = b"data: a\n\nid: 1\ndata: b\n\ndata: c\n\nid:2\nid: x\0\ndata: d\n\nid\ndata: e\n\n"
    assert ids(stream.replace(b"\n", BYTES[line_end])) == ["", "1", "1", "2", ""]


@pytest.mark.parametrize(
    ("value", "retry"), [(b"1500", 1500), (b"", None), (b"-1", None), (b"1.5", None), (b"9" * 10_000, 999_999_999)]
)
def test_a_retry_time_is_a_number(value: bytes, retry: int | None) -> None:
    decoder = SSEDecoder()
    assert list(decoder.feed(b"retry: " + value + b"\n")) == []
    assert decoder.retry == retry
