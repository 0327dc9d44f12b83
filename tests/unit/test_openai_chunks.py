"""The dialects of OpenAI-compatible services, from recorded bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.unit.recorded import ALL_CUTS, LINE_ENDS, Outcome, outcome, spelled, stream
from waldur_chat.errors import ContextExceeded, ProviderBusy, ProviderFailed, ProviderIncomplete, ProviderRefused
from waldur_chat.events import Delta, ProviderEvent, Reasoning, Stopped, Usage
from waldur_chat.providers.dialects.ends import MAX_LOGGED_WORDS, StopReasons
from waldur_chat.providers.dialects.leading_thoughts import ThoughtSplitter
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.wire.sse_decoder import event_limit


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
            used(14, 3),  # White space before the answer waits for it.
            Delta(text="\n\nHello"), used(14, 4),
            STOP, used(14, 5),
            used(14, 5),
        ],
        None,
    ),
    "ollama": ([Reasoning(text="Hm."), *text("Hi", " there"), STOP, used(26, 3)], None),
    "llamacpp": ([*text("Once", " upon"), Stopped(reason="length"), used(12, 2)], None),
    "deepseek": ([Reasoning(text="First, "), Reasoning(text="这样"), *text("四"), STOP, used(10, 6)], None),
    "litellm-halves": ([*text("\ud83d", "\ude42"), STOP], None),
    "odd": ([*text("?", "Hi"), Stopped(reason="tool_calls")], None),
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


@pytest.mark.parametrize("line_end", ALL_CUTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_cut_gives_the_same_events(dialect: str, line_end: str) -> None:
    data = stream(dialect, line_end)
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == spelled(DIALECTS[dialect])


@pytest.mark.parametrize("line_end", LINE_ENDS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_single_bytes_give_the_same_events(dialect: str, line_end: str) -> None:
    data = stream(dialect, line_end)
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
    """What each of these says where there is no other like it, after the beginning of a text."""

    def said(one: bytes) -> Iterable[ProviderEvent]:
        reader = ChunkReader()
        return [event for data in (chunk("x"), one, DONE) for event in reader.feed(data)][1:]

    return letters(event for one in events for event in said(one))


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
    assert list(reader.feed(chunk("x"))) == text("x")
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
    reader = ChunkReader(max_event_bytes=100_000)
    assert list(reader.feed(chunk("a"))) == text("a")
    endless = chunk("x" * 200_000)
    pieces = [endless[start : start + 1000] for start in range(0, len(endless), 1000)]
    assert outcome(reader, pieces) == ([], ProviderFailed)


def choice(**fields: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, **fields}]}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "text", "text": "."}]},
    {"type": "reasoning", "summary": "So"},
    {"thinking": "..."},
    {"type": "text", "text": "He"},
    {"type": "reference", "reference_ids": [1]},
    {"type": "output_text", "text": "llo"},
    "!",
    7,
]


@pytest.mark.parametrize(
    ("fields", "events"),
    [
        ({"delta": {"content": PARTS}}, [Reasoning(text="Hm.So..."), *text("Hello!")]),
        ({"delta": {"content": {"type": "text", "text": "Hello"}}}, text("Hello")),
        ({"delta": {"refusal": "I cannot."}}, text("I cannot.")),
        ({"delta": {"content": [{"type": "refusal", "refusal": "No."}]}}, text("No.")),
        ({"delta": {"reasoning": "Hm.", "reasoning_content": "Hm."}}, [Reasoning(text="Hm.")]),
        ({"delta": {"reasoning": {"content": "Hm."}}}, [Reasoning(text="Hm.")]),
        ({"delta": {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}}, [Reasoning(text="Hm.")]),
        ({"delta": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}, []),
        ({"delta": {"reasoning_details": [[[[[[["x"]]]]]]]}}, []),
        ({"message": {"content": "Paris."}}, text("Paris.")),
        ({"message": {"reasoning": "Hm.", "content": ""}}, [Reasoning(text="Hm.")]),
        ({"text": "Paris."}, text("Paris.")),
        ({"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}}, []),
        ({"delta": {"content": None}, "finish_reason": "null"}, []),
    ],
)
def test_text_and_thoughts_are_read_wherever_they_are(fields: dict[str, object], events: list[ProviderEvent]) -> None:
    assert outcome(ChunkReader(), [choice(**fields), DONE]) == (events, None)


@pytest.mark.parametrize("source", ["delta", "message"])
def test_a_last_message_that_repeats_the_whole_answer_adds_nothing(source: str) -> None:
    pieces = [choice(**{source: {"content": piece}}) for piece in ("Par", "is.")]
    last = choice(message={"content": "Paris."}, finish_reason="stop")
    assert read(*pieces, last, DONE) == spelled(([*text("Paris."), STOP], None))


def test_messages_in_pieces_are_all_read() -> None:
    pieces = [choice(message={"content": piece}) for piece in ("ha", "ha", "!")]
    assert read(*pieces, DONE) == spelled((text("haha!"), None))


def test_thoughts_within_the_text_are_reasoning_however_it_is_cut() -> None:
    data = b"".join(map(chunk, ("<thi", "nk>\n", "Hm.", "\n</", "think>\n\n", "Hel", "lo!"))) + DONE
    told = spelled(([Reasoning(text="\nHm.\n"), *text("Hello!")], None))
    assert read(data) == told
    for cut in range(len(data)):
        assert read(data[:cut], data[cut:]) == told
    assert read(*(data[index : index + 1] for index in range(len(data)))) == told


@pytest.mark.parametrize("tokens", [["Okay", ".", "\n", "</", "think", ">", "\n\n", "Hi"], ["Okay.\n</think>\nHi"]])
def test_thoughts_that_nothing_opened_are_noticed_among_chunks_that_are_alike(tokens: list[str]) -> None:
    noticed: list[bool] = []
    reader = ChunkReader(ThoughtSplitter(on_unopened=lambda: noticed.append(True)))
    for token in tokens:
        assert letters(reader.feed(chunk(token))) == letters(text(token))
    assert noticed == [True]


def test_what_was_held_back_comes_before_the_end() -> None:
    assert read(choice(delta={"content": "<thi"}, finish_reason="stop"), DONE) == spelled(
        ([STOP, *text("<thi"), STOP], None)
    )
    assert read(chunk("<thi"), choice(finish_reason="stop"), DONE) == spelled(([*text("<thi"), STOP], None))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"), ("eos", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("stop_sequence", "stop"),
        ("STOP", "stop"), ("length", "length"), ("max_tokens", "length"), ("MAX_TOKENS", "length"),
        ("content_filter", "content_filter"), ("SAFETY", "content_filter"), ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"), ("RECITATION", "content_filter"), ("SPII", "content_filter"),
        ("FINISH_REASON_STOP", "stop"), ("finished", "finished"),
    ],
)  # fmt: skip
def test_each_word_for_an_end_has_its_meaning(word: str, reason: str) -> None:
    events = [Delta(text="a"), Stopped(reason=reason)]
    assert outcome(ChunkReader(), [choice(delta={"content": "a"}), choice(finish_reason=word)]) == (events, None)


@pytest.mark.parametrize("end", [{"finish_reason": "error"}, {"error": {"code": 502}}, {"finish_reason": "abort"}])
def test_a_service_that_breaks_off_has_failed(end: dict[str, object]) -> None:
    assert outcome(ChunkReader(), [choice(**end), DONE]) == ([], ProviderFailed)
    assert outcome(ChunkReader(), [choice(delta={"content": "a"}), choice(**end), DONE]) == (text("a"), ProviderFailed)


def test_an_unknown_word_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    reasons = StopReasons("a-model")
    for word in ("finished", "finished", "done", *map(str, range(100))):
        assert reasons.meaning(word) == word
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == MAX_LOGGED_WORDS
    assert messages[0] == "a-model stopped with the unknown word 'finished'; the answer counts as complete."


def test_a_text_after_the_end_takes_it_back() -> None:
    stopping = [choice(delta={"content": letter}, finish_reason="stop") for letter in "ab"]
    assert outcome(ChunkReader(), stopping) == ([*text("a"), STOP, *text("b"), STOP], None)
    assert outcome(ChunkReader(), [stopping[0], chunk("b")]) == ([*text("a"), STOP, *text("b")], ProviderIncomplete)
    alike = [chunk("a"), chunk("b"), stopping[0], chunk("c"), chunk("d")]
    assert outcome(ChunkReader(), alike)[1] is ProviderIncomplete


LIMIT = 10_000


@pytest.mark.parametrize("size", [100, 4096, 1_000_000])
def test_an_event_may_be_as_long_as_an_answer(size: int) -> None:
    data = chunk("a") + chunk("\u0436" * 990_000) + choice(finish_reason="stop", sources="x" * 200_000) + DONE
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    events, error = outcome(ChunkReader(max_event_bytes=event_limit(1_000_000)), pieces)
    assert error is None
    assert sum(len(event.text) for event in events if isinstance(event, Delta)) == 990_001


@pytest.mark.parametrize(
    "rest", [b"data: " + b"x" * 2 * LIMIT, b"data: {\n\n", b"data: [1]\n\n", b"event: x\ndata: {\n\n", b"data:  \n\n"]
)
def test_metadata_after_the_end_costs_no_answer(rest: bytes) -> None:
    for tail in (b"", DONE):
        reader = ChunkReader(max_event_bytes=LIMIT)
        assert outcome(reader, [chunk("a"), choice(finish_reason="stop"), rest + tail]) == ([*text("a"), STOP], None)


@pytest.mark.parametrize("rest", [b"event: x\ndata: {\n\n", b"event: sources\ndata: plain text\n\n", b"data: \n\n"])
def test_metadata_of_another_name_may_be_anything(rest: bytes) -> None:
    assert outcome(ChunkReader(), [chunk("a") + rest + chunk("b") + DONE])[1] is None


@pytest.mark.parametrize("rest", [b"data: " + b"x" * 2 * LIMIT, b"data: {\n\n"])
def test_what_is_not_understood_before_the_end_fails(rest: bytes) -> None:
    assert outcome(ChunkReader(max_event_bytes=LIMIT), [chunk("a"), rest]) == (text("a"), ProviderFailed)


def test_an_error_that_is_no_json_is_read_as_text() -> None:
    assert outcome(ChunkReader(), [b"event: error\ndata: The prompt is too long\n\n"]) == ([], ContextExceeded)


COMPLETION = json.dumps(
    {
        "object": "chat.completion",
        "choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2},
    },
    indent=1,
).encode()


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (COMPLETION, ([*text("Paris."), STOP, used(7, 2)], None)),
        (b"\r\n\n" + COMPLETION, ([*text("Paris."), STOP, used(7, 2)], None)),
        (b'{"choices": [{"message": {"content": "Paris."}}]}', (text("Paris."), None)),
        (b'{"choices": [{"message": {"content": ""}}]}', ([], ProviderIncomplete)),
        (COMPLETION[:-1], ([], ProviderIncomplete)),
        (b'{"error": {"code": 429}}', ([], ProviderBusy)),
        (b'[{"error": {"code": 401}}]', ([], ProviderRefused)),
        (b"[]", ([], ProviderIncomplete)),
        (b"{" * 2 * LIMIT, ([], ProviderFailed)),
    ],
)
def test_a_body_that_is_no_stream_is_read_too(body: bytes, told: Outcome) -> None:
    for size in (1, 7, len(body)):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        assert spelled(outcome(ChunkReader(max_event_bytes=LIMIT), pieces)) == spelled(told)


@pytest.mark.parametrize(
    "place",
    [{"usage": "@"}, {"x_groq": {"usage": "@"}}, {"choices": [{"delta": {}, "usage": "@"}]}],
)
def test_usage_is_read_wherever_it_is(place: object) -> None:
    counts = '{"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}'
    data = b"data: " + json.dumps(place).replace('"@"', counts).encode() + b"\n\n"
    assert outcome(ChunkReader(), [data, DONE]) == ([used(20, 603)], None)


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ((0, 0, 0), []),
        ((0, 5, 9), [used(0, 5)]),
        ((7, 5, 0), [used(7, 5)]),
        ((7, 5, 3), [used(7, 5)]),
        ((7, 5, "many"), [used(7, 5)]),
        ((7, 0, 9), [used(7, 2)]),
    ],
)
def test_usage_that_cannot_be_true_is_none(counts: tuple[object, ...], usage: list[ProviderEvent]) -> None:
    reported = dict(zip(("prompt_tokens", "completion_tokens", "total_tokens"), counts, strict=True))
    assert outcome(ChunkReader(), [b"data: " + json.dumps({"usage": reported}).encode() + b"\n\n", DONE]) == (
        usage,
        None,
    )
