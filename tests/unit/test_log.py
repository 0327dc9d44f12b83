"""The log of a turn: whoever comes, whenever, gets everything from where he is."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.aio import run_ahead
from waldur_chat.engine.event_log import MAX_RECENT_CHUNKS, EventLog, LogReader, TextBuffer
from waldur_chat.events import Cancelled, Delta, Event, Reasoning, Started

START = Started(turn="1")
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
