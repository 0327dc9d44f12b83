"""The log of a turn: whoever comes, whenever, gets everything from where he is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.aio import run_ahead
from waldur_chat.engine.event_log import MAX_RECENT_CHUNKS, EventLog, LogReader, TextBuffer
from waldur_chat.events import Cancelled, Delta, Event, Reasoning, Started, ToolAnswered, ToolCalled, Warned

START = Started(turn="1")
WARNED = Warned(text="Mind the gap.")
END = Cancelled(usage=None)


def log_of(*events: Event) -> EventLog:
    log = EventLog()
    for event in events:
        log.add(event)
    return log


@given(st.lists(st.text(min_size=1, max_size=4), max_size=3 * MAX_RECENT_CHUNKS), st.integers(0, 300))
def test_a_growing_text_is_all_that_was_added(pieces: list[str], position: int) -> None:
    text = TextBuffer()
    for piece in pieces:
        text.add(piece)
    assert text.length == len("".join(pieces))
    assert text.since(position) == "".join(pieces)[position:]


def test_a_long_text_is_kept_in_few_pieces() -> None:
    text = TextBuffer()
    for _ in range(100_000):
        text.add("word ")
    merged, _, fresh = text._chunks
    assert len(merged) < 20
    assert len(fresh) < MAX_RECENT_CHUNKS
    assert text.since(499_990) == "word word "


def test_a_reader_gets_what_came_in_the_meantime_in_one_piece() -> None:
    log = log_of(START, Reasoning(text="H"), Reasoning(text="m."), Delta(text="a"), Delta(text="b"))
    reader = LogReader(log)
    assert reader.take() == [START, Reasoning(text="Hm."), Delta(text="ab")]
    assert reader.take() == []
    log.add(Delta(text="c"))
    log.end(END)
    assert reader.take() == [Delta(text="c"), END]
    assert reader.take() == []


@pytest.mark.parametrize(("position", "text"), [(0, "abcd"), (1, "bcd"), (3, "d"), (4, ""), (9, "")])
def test_a_reader_who_has_something_gets_the_rest(position: int, text: str) -> None:
    reader = LogReader(log_of(START, Reasoning(text="Hm."), Delta(text="ab"), Delta(text="cd"), END), position)
    thoughts = [] if position else [Reasoning(text="Hm.")]
    assert reader.take() == [START, *thoughts, *([Delta(text=text)] if text else []), END]


@pytest.mark.parametrize("position", [0, 1])
def test_a_reader_who_comes_late_is_warned_too(position: int) -> None:
    reader = LogReader(log_of(START, WARNED, Delta(text="ab"), END), position)
    assert reader.take() == [START, WARNED, Delta(text="ab"[position:]), END]
    assert reader.take() == []


def test_a_reader_who_has_begun_is_woken_by_a_warning() -> None:
    async def main() -> None:
        log = log_of(START)
        reader = LogReader(log)
        assert reader.take() == [START]
        log.add(WARNED)
        await reader.wait()
        assert reader.take() == [WARNED]

    run_ahead(main())


def test_peeking_takes_nothing() -> None:
    reader = LogReader(log_of(START, Delta(text="a")))
    assert reader.peek() == START
    assert reader.take() == [START, Delta(text="a")]


def test_all_readers_are_woken_by_what_comes() -> None:
    async def main() -> None:
        log = EventLog()
        readers = [LogReader(log), LogReader(log)]
        waiting = [asyncio.ensure_future(reader.wait()) for reader in readers]
        await asyncio.sleep(0)
        log.add(START)
        await asyncio.gather(*waiting)
        assert [reader.take() for reader in readers] == [[START], [START]]

    run_ahead(main())


def test_a_reader_waits_no_longer_than_he_wants() -> None:
    async def main() -> None:
        reader = LogReader(EventLog())
        await reader.wait(0.01)
        assert reader.take() == []

    run_ahead(main())


def test_a_reader_who_has_left_counts_no_more() -> None:
    log = EventLog()
    readers = [LogReader(log), LogReader(log)]
    readers[0].close()
    readers[0].close()
    assert log.readers == 1


def test_a_patient_reader_is_woken_by_the_end() -> None:
    async def main() -> None:
        log = EventLog()
        patient, other = LogReader(log), LogReader(log)
        patient.waits_for_end = True
        waits = [asyncio.ensure_future(reader.wait()) for reader in (patient, other)]
        await asyncio.sleep(0)
        log.add(Delta(text="a"))
        await asyncio.wait(waits, timeout=0.01)
        assert [wait.done() for wait in waits] == [False, True]
        log.end(Cancelled(usage=None))
        await waits[0]
        assert patient.take() == [Delta(text="a"), Cancelled(usage=None)]

    run_ahead(main())


CALL, DONE = ToolCalled(call_uuid="1", tool="t", arguments={}), ToolAnswered(call_uuid="1", tool="t", outcome="done")
WITH_TOOLS: tuple[Event, ...] = (START, Delta(text="ab"), CALL, DONE, Delta(text="cd"), CALL, END)


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (0, [Delta(text="ab"), CALL, DONE, Delta(text="cd"), CALL]),
        (1, [Delta(text="b"), CALL, DONE, Delta(text="cd"), CALL]),
        (2, [CALL, DONE, Delta(text="cd"), CALL]),
        (3, [Delta(text="d"), CALL]),
        (4, [CALL]),
        (9, []),
    ],
)
def test_calls_of_tools_stand_at_their_position(position: int, expected: list[Event]) -> None:
    reader = LogReader(log_of(*WITH_TOOLS), position)
    assert reader.take() == [START, *expected, END]
    assert reader.take() == []


@pytest.mark.parametrize("taken", range(len(WITH_TOOLS)))
def test_a_reader_gets_each_call_once_whenever_it_takes(taken: int) -> None:
    log = EventLog()
    reader = LogReader(log)
    events: list[Event] = []
    for number, event in enumerate(WITH_TOOLS):
        log.add(event)
        events += reader.take() if number >= taken else []
    assert events == [*WITH_TOOLS]


def test_a_call_wakes_its_reader() -> None:
    async def main() -> None:
        log = log_of(START)
        reader = LogReader(log)
        reader.take()
        waiting = asyncio.ensure_future(reader.wait())
        await asyncio.sleep(0)
        log.add(CALL)
        await waiting
        assert reader.peek() == CALL

    run_ahead(main())


def test_calls_after_thoughts_that_are_not_stored_keep_their_text() -> None:
    log = EventLog()
    log.skip_to(10)
    log.add(Delta(text="ab"))
    log.add(CALL)
    assert LogReader(log).take() == [Delta(text="ab"), CALL]
