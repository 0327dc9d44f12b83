"""Limits of calls, and what no reported stream shows: what the service says is a claim."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.unit.called import NAMES, events_of, said
from waldur_chat.events import CallPending, CallRequested, Delta, Stopped
from waldur_chat.providers.dialects.call_reader import EARLY_TRIES, PromptTools
from waldur_chat.providers.dialects.calls import MAX_CALLS
from waldur_chat.providers.openai_chunks import ChunkReader
from waldur_chat.wire.sse_decoder import MAX_EVENT_BYTES

TOOLS = PromptTools(names=NAMES)
IN_TEXT = PromptTools(names=NAMES, in_text=True)
END = b'data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}\n\ndata: [DONE]\n\n'


def chunk(reason: str | None = None, message: Any = None, **delta: Any) -> bytes:
    choice = {"delta": delta, "finish_reason": reason, **({"message": message} if message else {})}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def call(name: str = "search", arguments: Any = '{"q": 1}', **fields: Any) -> dict[str, Any]:
    return {**fields, "function": {"name": name, "arguments": arguments}}


def test_ids_are_of_nine_letters_and_digits_and_not_those_of_the_prompt() -> None:
    taken = frozenset(f"call{number:05x}" for number in range(0, 16**5, 2))
    calls = [call(arguments=json.dumps({"q": number}), id=str(number)) for number in range(50)]
    events, _ = events_of([chunk(tool_calls=calls) + END], PromptTools(names=NAMES, taken=taken))
    ids = {event.id for event in events if isinstance(event, CallRequested)}
    assert len(ids - taken) == 50
    assert all(re.fullmatch(r"call[0-9a-f]{5}", one) for one in ids)


def test_calls_come_before_the_reason() -> None:
    events, _ = events_of([chunk(tool_calls=[call(id="a")]) + END], TOOLS)
    assert [type(event) for event in events] == [CallPending, CallRequested, Stopped]


def test_every_part_of_a_call_is_a_sign_of_life() -> None:
    reader = ChunkReader(tools=TOOLS)
    for part in ("{", '"q"', ": 1}"):
        assert list(reader.feed(chunk(tool_calls=[call("search" if part == "{" else "", part, index=0)]))) == [
            CallPending()
        ]


def test_text_that_may_be_a_call_is_a_sign_of_life() -> None:
    reader = ChunkReader(tools=IN_TEXT)
    assert list(reader.feed(chunk(content=' {"name'))) == [CallPending()]


@pytest.mark.parametrize("count", [MAX_CALLS, MAX_CALLS + 1])
def test_an_answer_may_ask_for_so_many_calls(count: int) -> None:
    one_by_one = [chunk(tool_calls=[call(id=str(number), arguments=f'{{"q": {number}}}')]) for number in range(count)]
    glued = [chunk(tool_calls=[call(arguments="".join(f'{{"q": {number}}}' for number in range(count)))])]
    for pieces in (one_by_one, glued):
        found = said([*pieces, END], TOOLS)
        assert (found.error, len(found.calls)) == (("", count) if count == MAX_CALLS else ("ProviderFailed", 0))


@pytest.mark.parametrize("field", ["id", "name", "arguments", "extra"])
def test_calls_without_end_are_refused(field: str) -> None:
    half = "x" * (MAX_EVENT_BYTES // 2)
    fields: dict[str, Any] = {"id": {"id": half}, "extra": {"signature": half}}.get(field, {})
    arguments = half if field == "arguments" else "{}"
    one = chunk(tool_calls=[call(half if field == "name" else "search", arguments, **fields)])
    assert said([one] * 3 + [END], TOOLS).error == "ProviderFailed"


@pytest.mark.parametrize(
    "calls",
    [
        7,
        "x",
        {},
        [],
        [7],
        ["x"],
        [None],
        [{}],
        [{"function": 7}],
        [{"function": []}],
        [{"id": {}, "function": {"name": 7}}],
    ],
    ids=str,
)
def test_what_is_no_call_is_none(calls: Any) -> None:
    assert said([chunk(content="Hi", tool_calls=calls, function_call=calls) + END], TOOLS).calls == []


def test_a_call_without_a_list_around_it_is_one() -> None:
    assert said([chunk(tool_calls=call()) + END], TOOLS).calls == [["search", {"q": 1}]]


def test_an_index_that_is_no_number_is_none() -> None:
    pieces = [
        chunk(tool_calls=[call(arguments='{"q"', index="0")]),
        chunk(tool_calls=[call("", ": 1}", index=True)]),
        END,
    ]
    assert said(pieces, TOOLS).calls == [["search", {"q": 1}]]


@pytest.mark.parametrize("arguments", ["[1]", "7", '"text"', "}{", "[" * 100_000, "{" * 100_000])
def test_arguments_that_are_no_object_are_told_as_they_are(arguments: str) -> None:
    events, error = events_of([chunk(tool_calls=[call(arguments=arguments)]) + END], TOOLS)
    assert not error
    assert [event.arguments for event in events if isinstance(event, CallRequested)] == [arguments]


def test_a_name_may_come_in_parts() -> None:
    parts = [chunk(tool_calls=[call("get_", "", index=0)]), chunk(tool_calls=[call("time", "", index=0)])]
    assert said([*parts, END], TOOLS).calls == [["get_time", {}]]


def test_a_new_id_with_each_fragment_is_the_same_call() -> None:
    parts = [
        chunk(tool_calls=[call("search" if not at else "", part, index=0, id=str(at))]) for at, part in enumerate(PARTS)
    ]
    assert said([*parts, END], TOOLS).calls == [["search", {"q": 1}]]


PARTS = ('{"q"', ": ", "1}")


def test_a_name_with_each_fragment_and_an_index_that_grows_is_one_call() -> None:
    parts = [chunk(tool_calls=[call(arguments=part, index=at)]) for at, part in enumerate(PARTS)]
    assert said([*parts, END], TOOLS).calls == [["search", {"q": 1}]]


def test_what_may_be_an_object_within_a_call_or_another_call_is_refused() -> None:
    parts = [chunk(tool_calls=[call(arguments=part, index=at)]) for at, part in enumerate(('{"q": ', '{"a": 1}', "}"))]
    assert said([*parts, END], TOOLS).error == "ProviderFailed"


def test_fragments_whose_call_was_guessed_wrongly_are_refused() -> None:
    parts = [call(arguments='{"q": 1}', id="a"), call("get_time", '{"zone": ', id="b"), call("", "EET}")]
    assert said([chunk(tool_calls=[part]) for part in parts] + [END], TOOLS).error == "ProviderFailed"


def test_one_id_for_calls_that_are_open_at_once_is_refused() -> None:
    parts = [call(arguments='{"q": ', id="a", index=0), call(arguments="1", id="a", index=1)]
    assert said([chunk(tool_calls=[part]) for part in parts] + [END], TOOLS).error == "ProviderFailed"


def test_a_name_that_may_have_begun_a_call_whose_id_comes_late_is_refused() -> None:
    parts = [call(id="a", index=0), call(arguments="", index=0), call("", '{"q": 2}', id="b", index=0)]
    assert said([chunk(tool_calls=[part]) for part in parts] + [END], TOOLS).error == "ProviderFailed"


def test_arguments_after_a_late_name_are_those_of_the_next_call() -> None:
    parts = [call("", '{"q": 1}', index=0), call(arguments="", index=0), call("", '{"zone": 1}', index=0)]
    parts += [call("get_time", "", index=0)]
    found = said([chunk(tool_calls=[part]) for part in parts] + [END], TOOLS)
    assert found.calls == [["search", {"q": 1}], ["get_time", {"zone": 1}]]


def test_messages_that_repeat_earlier_ones_add_what_is_new() -> None:
    first, second = call(id="a"), call("get_time", "{}", id="b")
    pieces = [chunk(message={"tool_calls": [first]}), chunk(message={"tool_calls": [first, second]}), END]
    assert said(pieces, TOOLS).calls == [["search", {"q": 1}], ["get_time", {}]]


def test_calls_after_a_reason_take_it_back() -> None:
    pieces = [chunk("stop", content="Hi"), chunk(tool_calls=[call()])]
    assert said(pieces, TOOLS).error == "ProviderIncomplete"


@pytest.mark.parametrize("way", ["one after the other", "again and again"])
def test_a_reason_with_every_chunk_costs_no_more_time_than_one(way: str) -> None:
    fields = [{"id": str(number) if way == "one after the other" else "0"} for number in range(EARLY_TRIES * 2)]
    pieces = [chunk("stop", tool_calls=[call(**one)]) for one in fields]
    assert len(said(pieces, TOOLS).calls) == (len(fields) if way == "one after the other" else 1)


def test_a_long_text_that_may_be_a_call_is_not_held_for_ever() -> None:
    reader = ChunkReader(tools=IN_TEXT)
    pieces = [chunk(content='{"name": "search", "arguments": "' + "x" * 1000)] + [chunk(content="x" * 60_000)] * 40
    events = [event for piece in pieces for event in reader.feed(piece)]
    assert sum(len(event.text) for event in events if isinstance(event, Delta)) > MAX_EVENT_BYTES


@pytest.mark.parametrize("text", ["<tool_call>" + "x" * 2000, '{ "name"' + " " * 2000, "<tool_cal and more"])
def test_a_text_that_only_begins_as_a_call_is_told_at_once(text: str) -> None:
    events = list(ChunkReader(tools=IN_TEXT).feed(chunk(content=text)))
    assert events == [Delta(text=text)]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call></tool_call>",
        "<tool_call>[1]</tool_call>",
        '{"name": "search", "arguments": [1]}',
        '{"name": "search", "arguments": {}, "parameters": {}}',
        '{"name": "search"} {"name": "unknown"}',
        '{"name": 7}',
        "   ",
    ],
)
def test_what_is_no_call_is_text_again(text: str) -> None:
    found = said([chunk(content=text) + END], IN_TEXT)
    assert (found.calls, found.text) == ([], text.strip())


def test_calls_in_the_text_wait_for_the_end_where_every_chunk_has_a_reason() -> None:
    pieces = [chunk("stop", content='{"name": "search",'), chunk("stop", content=' "arguments": {"q": 1}}')]
    assert said(pieces, IN_TEXT).calls == [["search", {"q": 1}]]


def test_text_after_the_beginning_is_told_as_it_comes() -> None:
    reader = ChunkReader(tools=IN_TEXT)
    events = [event for piece in [chunk(content="Hi ")] * 4 for event in reader.feed(piece)]
    assert events == [Delta(text="Hi ")] * 4


@pytest.mark.parametrize(
    "fragments",
    [
        [call(arguments=""), call()],
        [call(arguments="{}"), call()],
        [call(), call(arguments="")],
        [call(), call(arguments="{}")],
        [call(), call()],
        [call(arguments="{}", index=0), call("", "", id="a", index=0), call("", "{}", index=0), call(index=0)],
        [call(id="a", arguments="{}", index=0), call(id="a", index=1)],
        [call(id="a", index=0), call(id="a", arguments="", index=1)],
        [call("", "", id="a", index=0), call(index=1)],
        [call(arguments="{}", index=0), call("", "", id="a", index=0), call("search", '{"q": 1}', id="a", index=0)],
    ],
)
def test_what_may_be_one_call_or_two_is_refused(fragments: list[dict[str, Any]]) -> None:
    """The same bytes would be one call of a service that tells a name again, and two of another."""
    found = said([b"".join(chunk(tool_calls=[one]) for one in fragments) + END], TOOLS)
    assert (found.calls, found.error) == ([], "ProviderFailed")


@pytest.mark.parametrize(
    "fragments",
    [
        [call(arguments="", index=0), call(arguments="", index=1)],
        [call(arguments="{}", id="a"), call(arguments="{}", id="b")],
    ],
)
def test_calls_without_arguments_are_told_apart_by_id_or_index(fragments: list[dict[str, Any]]) -> None:
    found = said([b"".join(chunk(tool_calls=[one]) for one in fragments) + END], TOOLS)
    assert found.calls == [["search", {}], ["search", {}]]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("functions.search", "search"),
        ("functions.delete", "functions_delete_"),
        ("get-time", "get-time"),
        ("get time", "get_time_"),
        ("get.time", "get_time_"),
        ("x" * 65, "x" * 63 + "_"),
    ],
)
def test_a_name_that_only_resembles_that_of_a_tool_is_not_its_name(name: str, told: str) -> None:
    found = said([chunk(tool_calls=[call(name, id="a")]) + END], TOOLS)
    assert (found.calls, found.error) == ([[told, {"q": 1}]], "")
