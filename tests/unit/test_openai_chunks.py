"""The dialects of OpenAI-compatible services, from recorded bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.unit.recorded import LINE_ENDS, Outcome, outcome, spelled, stream
from waldur_chat.errors import ProviderBusy, ProviderFailed, ProviderIncomplete
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
from waldur_chat.providers.openai_chunks import ChunkReader


def text(*pieces: str) -> list[ProviderEvent]:
    return [Delta(text=piece) for piece in pieces]


def used(read: int, written: int) -> Usage:
    return Usage(input_tokens=read, output_tokens=written)


STOP = Stopped(reason="stop")
DIALECTS: dict[str, Outcome] = {
    "openai": ([*text("Grüße", " 🙂", "\u2028!"), STOP, used(19, 4)], None),
    "azure": ([*text("I will"), Stopped(reason="content_filter"), used(31, 2)], None),
    "vllm": (
        [
            used(14, 0),
            Reasoning(text="The user"), used(14, 1),
            Reasoning(text=" greets."), used(14, 2),
            Delta(text="\n\n"), used(14, 3),
            Delta(text="Hello"), used(14, 4),
            STOP, used(14, 5),
            used(14, 5),
        ],
        None,
    ),
    "ollama": ([Reasoning(text="Hm."), *text("Hi", " there"), STOP, used(26, 3)], None),
    "llamacpp": ([*text("Once", " upon"), Stopped(reason="length"), used(12, 2)], None),
    "deepseek": ([Reasoning(text="First, "), Reasoning(text="这样"), *text("四"), STOP, used(10, 6)], None),
    "litellm-halves": ([*text("\ud83d", "\ude42"), STOP], None),
    "odd": ([*text("Hi"), Stopped(reason="tool_calls")], None),
    "error": ([used(14, 0), *text("Half an"), used(14, 1)], ProviderFailed),
    "overloaded": (text("Well"), ProviderBusy),
    "unfinished": (text("And then"), ProviderIncomplete),
    "without-done": ([*text("All."), STOP], None),
    "without-finish": (text("All."), None),
}  # fmt: skip


def read(*pieces: bytes) -> Outcome:
    return spelled(outcome(ChunkReader(), pieces))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_each_dialect_is_understood(dialect: str) -> None:
    assert read(stream(dialect)) == spelled(DIALECTS[dialect])


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_cut_gives_the_same_events(dialect: str, line_end: str) -> None:
    data = stream(dialect, line_end)
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == spelled(DIALECTS[dialect])


@pytest.mark.parametrize("dialect", DIALECTS)
def test_single_bytes_give_the_same_events(dialect: str) -> None:
    data = stream(dialect)
    assert read(*(data[index : index + 1] for index in range(len(data)))) == spelled(DIALECTS[dialect])


@pytest.mark.parametrize("data", [b"{", b'"text"', b"[" * 100_000, b"\xff"])
def test_what_is_no_json_object_fails(data: bytes) -> None:
    assert read(b"data: " + data + b"\n\n") == ([], ProviderFailed)


@pytest.mark.parametrize("body", [b"", b"<html>A proxy's login page</html>", b'{"choices": []}'])
def test_what_is_no_stream_is_incomplete(body: bytes) -> None:
    assert read(body) == ([], ProviderIncomplete)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ({"type": "server_error", "code": 500, "message": "secret"}, "(server_error, 500)"),
        ({"type": ["?"], "message": "secret"}, "(unnamed)"),
        ("secret", "(unnamed)"),
        ({"type": "x" * 1000}, f"({'x' * 60})"),
    ],
)
def test_of_an_error_only_its_codes_are_told(error: object, message: str) -> None:
    with pytest.raises(ProviderFailed) as raised:
        list(ChunkReader().feed(b"data: " + json.dumps({"error": error}).encode() + b"\n\n"))
    assert str(raised.value) == f"The stream holds an error {message}."


@pytest.mark.parametrize("error", [{"code": 429}, {"code": "503"}, {"type": "overloaded_error"}])
def test_an_overload_within_the_stream_is_told_as_one(error: object) -> None:
    assert read(b"data: " + json.dumps({"error": error}).encode() + b"\n\n") == ([], ProviderBusy)


def test_what_follows_the_end_is_not_read() -> None:
    reader = ChunkReader()
    assert list(reader.feed(b'data: [DONE]\n\ndata: {"error": 1}\n\n')) == []
    assert reader.done


@pytest.mark.parametrize(
    "failure",
    [
        b'event: error\ndata: {"message": "boom", "code": 500}\n\n',
        b'event: error\ndata: {"error": {"message": "boom"}}\n\n',
        b'data: {"object": "error", "message": "boom"}\n\n',
    ],
)
def test_an_error_in_any_dress_is_a_failure(failure: bytes) -> None:
    with pytest.raises(ProviderFailed):
        list(ChunkReader().feed(failure + b"data: [DONE]\n\n"))


def test_an_empty_finish_reason_is_none() -> None:
    reader = ChunkReader()
    list(reader.feed(b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}\n\n'))
    with pytest.raises(ProviderIncomplete):
        reader.finish()


@pytest.mark.parametrize(
    ("end", "events"),
    [
        (b"data: [DONE]\n", []),
        (b"data: [DONE]", []),
        (
            b'data: {"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}]}',
            [Delta(text="b"), Stopped(reason="stop")],
        ),
    ],
)
def test_the_last_event_may_lack_its_blank_line(end: bytes, events: list[object]) -> None:
    reader = ChunkReader()
    list(reader.feed(b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' + end))
    assert reader.finish() == events


def chunk(text: str, **fields: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c1", "choices": [choice], **fields}).encode() + b"\n\n"


def letters(events: Iterable[ProviderEvent]) -> list[ProviderEvent]:
    return spelled((list(events), None))[0]


def one_by_one(events: Iterable[bytes]) -> list[ProviderEvent]:
    """What each of these says where there is no other like it."""
    return letters(event for one in events for event in ChunkReader().feed(one))


EVENTS = some.one_of(
    some.text(max_size=12).map(chunk),
    some.text(some.sampled_from('"\\,}{\n:'), min_size=1).map(chunk),
    some.text(max_size=3).map(lambda text: chunk(text, created=1)),
    some.text(max_size=3).map(lambda text: chunk(text, usage={"prompt_tokens": 1, "completion_tokens": 2})),
    some.text(max_size=3).map(lambda text: chunk(text).replace(b'"content"', b'"reasoning"')),
    some.text(max_size=3).map(lambda text: chunk(text).replace(b"\n\n", b"\r\n\r\n")),
    some.sampled_from([b": ping\n\n", b"\n", b"event: x\ndata: {}\n\n", b'data: {"choices": [{"delta": {}}]}\n\n']),
)


@given(some.lists(EVENTS), some.lists(some.integers(1, 300)))
def test_chunks_that_are_alike_say_together_what_each_of_them_says(events: list[bytes], cuts: list[int]) -> None:
    data, reader, found = b"".join(events), ChunkReader(), []
    for size in cuts:
        found += reader.feed(data[:size])
        data = data[size:]
    found += [*reader.feed(data), *reader.feed(b"data: [DONE]\n\n"), *reader.finish()]
    assert letters(found) == one_by_one(events)


def test_many_chunks_that_come_at_once_are_one_event() -> None:
    assert list(ChunkReader().feed(b"".join(map(chunk, "abcdef")))) == text("abcdef")


def test_a_chunk_that_came_alone_is_given_at_once() -> None:
    reader = ChunkReader()
    assert [list(reader.feed(chunk(letter))) for letter in "abc"] == [text(letter) for letter in "abc"]


def test_a_chunk_without_text_is_no_event_among_others_either() -> None:
    reader = ChunkReader()
    assert list(reader.feed(chunk("a"))) == text("a")
    assert list(reader.feed(chunk(""))) == []
    assert list(reader.feed(chunk("") + chunk("b")[:20])) == []
    assert list(reader.feed(chunk("b")[20:])) == text("b")


def test_quotation_marks_within_a_text_do_not_end_it() -> None:
    reader = ChunkReader()
    assert list(reader.feed(chunk("a"))) == text("a")
    assert list(reader.feed(b"".join(map(chunk, ('say "b" and', "\\", 'c"'))))) == text('say "b" and\\c"')


def test_a_shape_that_changes_with_each_chunk_is_not_learned_for_ever() -> None:
    reader = ChunkReader()
    data = b"".join(chunk(str(number), id=f"c{number}") for number in range(1000))
    assert letters(reader.feed(data)) == text(*"".join(map(str, range(1000))))
    assert reader._template is None


@pytest.mark.parametrize("broken", [b"a\\", b'a"b', b'a", "b', b"a\nb", b"\xff", b"\\ud83d\\", b'\x01\\"'])
def test_what_is_no_json_is_none_among_others_either(broken: bytes) -> None:
    wrong = chunk("TEXT").replace(b"TEXT", broken)
    alone = outcome(ChunkReader(), [wrong])
    among = read(chunk("a") + chunk("b") + wrong + chunk("c"))
    assert (alone[1], among) == (ProviderFailed, (text(*"ab"), ProviderFailed))
    assert outcome(ChunkReader(), [chunk("a"), chunk("b"), wrong]) == (text(*"ab"), ProviderFailed)


def test_a_chunk_that_does_not_end_is_not_kept_for_ever() -> None:
    reader = ChunkReader()
    assert list(reader.feed(chunk("a"))) == text("a")
    endless = chunk("x" * 200_000)
    pieces = [endless[start : start + 1000] for start in range(0, len(endless), 1000)]
    assert outcome(reader, pieces) == ([], ProviderFailed)
