"""Nothing that a service sends breaks a reader: events come out, and at most one of our errors."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.aio import PROMPT, run
from tests.unit.recorded import Outcome, Reader, outcome, spelled, stream
from tests.unit.test_langserve_events import STREAMS
from tests.unit.test_openai_chunks import DIALECTS
from waldur_chat.engine.failover import _until_text
from waldur_chat.engine.usage import UsageCounter
from waldur_chat.errors import ProviderBusy, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
from waldur_chat.providers.langserve_events import LangServeReader
from waldur_chat.providers.openai_chunks import ChunkReader

READERS = {ChunkReader: list(DIALECTS), LangServeReader: list(STREAMS)}
RECORDED = [(reader, name) for reader, names in READERS.items() for name in names]

ODD_VALUES = [
    "null", "true", "-1", "0", "1.5", "NaN", "Infinity", "-Infinity", "1e999", '""', '"text"', '"\\ud800"', '"\\u0000"',
    '"\\u2028\\r\\n"', "[]", "{}", "[[]]", '[{"text": {}}]', '{"text": []}', "9" * 4000, "9" * 5000, str(2**31),
    "[" * 900 + "]" * 900, '{"a":' * 400 + "1" + "}" * 400, "[" * 100_000, "{", "'", "\ud800",
]  # fmt: skip
OPENAI_PLACES = [
    "@",
    '{"error": @}',
    '{"error": {"type": @, "code": @}}',
    '{"object": @}',
    '{"choices": @}',
    '{"choices": [@]}',
    '{"choices": [{"delta": @, "finish_reason": @}]}',
    '{"choices": [{"delta": {"content": @, "reasoning": @, "reasoning_content": @}}]}',
    '{"choices": [{"delta": {"tool_calls": [@], "function_call": @}, "logprobs": @}]}',
    '{"choices": [], "usage": @}',
    '{"usage": {"prompt_tokens": @, "completion_tokens": @}}',
    '{"usage": {"prompt_tokens": 1, "prompt_tokens": @, "completion_tokens": 1}}',
]
LANGSERVE_PLACES = [
    "@",
    '{"content": @}',
    '{"content": [@, {"text": @}]}',
    '{"content": "", "usage_metadata": @, "additional_kwargs": @}',
    '{"content": "", "usage_metadata": {"input_tokens": @, "output_tokens": @}}',
    '{"content": "", "additional_kwargs": {"usage_metadata": @}}',
    '{"content": "", "response_metadata": @}',
    '{"content": "", "response_metadata": {"finish_reason": @}}',
    '{"status_code": @, "message": @}',
]


def read(reader: type[Reader], *pieces: bytes) -> Outcome:
    """See spelled(outcome()); what comes out is what the events' types promise, and can be sent on."""
    events, error = outcome(reader(), pieces)
    for event in events:
        match event:
            case Delta(text=text) | Reasoning(text=text):
                assert type(text) is str
            case Usage(input_tokens=read, output_tokens=written):
                assert type(read) is type(written) is int
                assert 0 <= min(read, written) <= max(read, written) < 2**31
            case Stopped(reason=reason):
                assert reason.isascii()
                assert reason.isprintable()
    return spelled((events, error))


def cuts(data: st.DataObject, length: int) -> list[int]:
    """Where a stream is cut: the ends, and anything between."""
    return [0, *sorted(data.draw(st.lists(st.integers(0, length), max_size=8))), length]


def mutated(data: st.DataObject, original: bytes) -> bytes:
    """The stream with bits flipped, and with bytes left out, put in, doubled, or cut off its end."""
    stream = bytearray(original)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(stream)))
        to = data.draw(st.integers(at, min(at + 30, len(stream))))
        match data.draw(st.sampled_from(["flip", "leave out", "put in", "double", "cut off"])):
            case "flip" if at < len(stream):
                stream[at] ^= 1 << data.draw(st.integers(0, 7))
            case "leave out":
                del stream[at:to]
            case "put in":
                stream[at:at] = data.draw(st.binary(max_size=8) | st.sampled_from([b"\n\n", b"\r", b"data: ", b"\xff"]))
            case "double":
                stream[at:at] = stream[at:to]
            case "cut off":
                del stream[max(at, len(stream) // 2) :]
    return bytes(stream)


@given(st.sampled_from(RECORDED), st.data())
def test_a_mutated_stream_gives_the_same_however_it_is_cut(
    recorded: tuple[type[Reader], str], data: st.DataObject
) -> None:
    reader, name = recorded
    damaged = mutated(data, stream(name))
    places = cuts(data, len(damaged))
    whole = read(reader, damaged)
    assert read(reader, *(damaged[start:end] for start, end in pairwise(places))) == whole
    assert read(reader, *(damaged[index : index + 1] for index in range(len(damaged)))) == whole


@given(st.sampled_from(RECORDED), st.data())
def test_a_stream_that_ends_anywhere_gives_the_same_beginning(
    recorded: tuple[type[Reader], str], data: st.DataObject
) -> None:
    reader, name = recorded
    whole = stream(name)
    events, error = read(reader, whole[: data.draw(st.integers(0, len(whole)))])
    assert events == read(reader, whole)[0][: len(events)]
    assert error in (None, ProviderFailed, ProviderBusy, ProviderIncomplete)


@pytest.mark.parametrize("reader", READERS)
@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"data: ", b"event: data\n", b"\n\n", b'{"content":'])))
def test_no_bytes_break_a_reader(reader: type[Reader], pieces: list[bytes]) -> None:
    assert read(reader, *pieces) == read(reader, b"".join(pieces))


def odd_outcomes(reader: type[Reader], place: str, beginnings: Sequence[bytes], *expected: Any) -> dict[str, Any]:
    """What else than the expected comes of each odd value in this place."""
    found: dict[str, Any] = {}
    for value in ODD_VALUES:
        data = place.replace("@", value).encode("utf-8", "surrogatepass")
        for beginning in beginnings:
            error = read(reader, beginning + data + b"\n\n")[1]
            if error not in expected:
                found[ascii(value[:12])] = error
    return found


@pytest.mark.parametrize("place", OPENAI_PLACES)
def test_no_value_in_a_chunk_breaks_its_reader(place: str) -> None:
    beginnings = (b"data: ", b"event: error\ndata: ")
    assert odd_outcomes(ChunkReader, place, beginnings, ProviderFailed, ProviderIncomplete, None) == {}


@pytest.mark.parametrize("place", LANGSERVE_PLACES)
def test_no_value_in_a_langserve_event_breaks_its_reader(place: str) -> None:
    beginnings = (b"event: data\ndata: ", b"event: error\ndata: ")
    assert odd_outcomes(LangServeReader, place, beginnings, ProviderFailed, ProviderIncomplete) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["content", "delta", "choices", "usage"]), inner)
        ),
    )
)
def test_no_json_breaks_a_reader(value: object) -> None:
    data = json.dumps(value).encode()
    read(ChunkReader, b"data: " + data + b"\n\n")
    read(LangServeReader, b"event: data\ndata: " + data + b"\n\n")


COUNTS = '{"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": @}}'


@pytest.mark.parametrize("count", ["true", "-1", "1.0", "1e3", '"1"', "null", str(2**31), "9" * 4000, "NaN", "[]"])
def test_what_is_no_count_of_tokens_is_none(count: str) -> None:
    langserve = COUNTS.replace("usage", "usage_metadata").replace("prompt", "input").replace("completion", "output")
    assert read(ChunkReader, b"data: " + COUNTS.replace("@", count).encode() + b"\n\n")[0] == []
    assert read(LangServeReader, b"event: data\ndata: " + langserve.replace("@", count).encode() + b"\n\n")[0] == []


def test_the_largest_count_of_tokens_is_taken() -> None:
    data = b"data: " + COUNTS.replace("@", str(2**31 - 1)).encode() + b"\n\n"
    assert read(ChunkReader, data)[0] == [Usage(input_tokens=1, output_tokens=2**31 - 1)]


def test_words_of_the_service_are_short_and_printable() -> None:
    reason = json.dumps("\x00\r\n\ud800é" + "x" * 100)
    chunk = f'data: {{"choices": [{{"finish_reason": {reason}}}]}}\n\n'.encode()
    data = f'event: data\ndata: {{"response_metadata": {{"finish_reason": {reason}}}}}\n\n'.encode()
    assert read(ChunkReader, chunk)[0] == read(LangServeReader, data)[0] == [Stopped(reason="?????" + "x" * 55)]
    with pytest.raises(ProviderFailed, match=r"\(\?\?\?\?\?x{55}\)"):
        list(ChunkReader().feed(f'data: {{"error": {{"type": {reason}}}}}\n\n'.encode()))


@pytest.mark.parametrize(("reader", "end"), [(ChunkReader, b"data: [DONE]\n\n"), (LangServeReader, b"event: end\n\n")])
@pytest.mark.parametrize("rest", [b'event: data\ndata: "x"\n\n', b"event: error\ndata: {}\n\n", b"x" * 200_000])
def test_what_follows_the_end_does_not_count(reader: type[Reader], end: bytes, rest: bytes) -> None:
    assert read(reader, end + rest) == read(reader, end, rest) == ([], None)


def test_what_a_service_reports_before_its_first_word_is_not_kept_for_ever() -> None:
    async def stream() -> AsyncGenerator[ProviderEvent, None]:
        for number in range(10_000):
            yield Delta(text="")
            yield Stopped(reason=f"{number}")
            yield Usage(input_tokens=1, output_tokens=number)
        yield Delta(text="Hello")

    async def first() -> list[ProviderEvent]:
        return await _until_text(stream(), UsageCounter(PROMPT))

    last = [Stopped(reason="9999"), Usage(input_tokens=1, output_tokens=9999), Delta(text="Hello")]
    assert run(first()) == last
