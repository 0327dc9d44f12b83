"""A log with a capacity: between a turn that nobody records and its one reader."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.aio import run_ahead
from waldur_chat.engine.event_log import CAPACITY, EventLog, LogReader
from waldur_chat.events import Cancelled, Delta, Event, Reasoning, Started, Warned

HALF = "x" * (CAPACITY // 2)


def bounded() -> tuple[EventLog, LogReader]:
    log = EventLog(capacity=CAPACITY)
    return log, LogReader(log)


async def put_all(log: EventLog, events: list[Event]) -> None:
    for event in events:
        await log.drained()
        log.add(event)


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_events_come_out_in_order() -> None:
    async def main() -> None:
        log, reader = bounded()
        events: list[Event] = [
            Started(turn="1"),
            Warned(text="b"),
            Delta(text="a"),
            Reasoning(text="b"),
            Delta(text="c"),
        ]
        await put_all(log, events)
        log.end(Cancelled(usage=None))
        assert reader.take() == [*events, Cancelled(usage=None)]
        assert reader.take() == []

    run_ahead(main())


def test_peeking_takes_nothing() -> None:
    async def main() -> None:
        log, reader = bounded()
        log.add(Delta(text="a"))
        assert reader.peek() == Delta(text="a")
        assert reader.take() == [Delta(text="a")]

    run_ahead(main())


def test_a_reader_is_woken_by_what_comes() -> None:
    async def main() -> None:
        log, reader = bounded()
        waiting = asyncio.ensure_future(reader.wait())
        await turns_of_the_loop()
        await put_all(log, [Delta(text="a"), Delta(text="b")])
        await waiting
        assert reader.take()

    run_ahead(main())


def test_a_reader_does_not_wait_for_what_is_there() -> None:
    async def main() -> None:
        log, reader = bounded()
        log.add(Delta(text="a"))
        await reader.wait(timeout=0)
        assert reader.take()

    run_ahead(main())


def test_a_reader_waits_no_longer_than_he_likes() -> None:
    async def main() -> None:
        _, reader = bounded()
        await reader.wait(timeout=0.001)
        assert not reader.take()

    run_ahead(main())


def test_what_comes_in_time_stops_the_timer() -> None:
    async def main() -> None:
        log, reader = bounded()
        waiting = asyncio.ensure_future(reader.wait(timeout=0.05))
        await turns_of_the_loop()
        log.end(Cancelled(usage=None))
        await waiting
        assert reader.take()
        waiting = asyncio.ensure_future(reader.wait())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()

    run_ahead(main())


def test_a_reader_that_was_cancelled_may_come_back() -> None:
    async def main() -> None:
        log, reader = bounded()
        waiting = asyncio.ensure_future(reader.wait())
        await turns_of_the_loop()
        waiting.cancel()
        log.add(Delta(text="a"))
        await reader.wait()
        assert reader.take()

    run_ahead(main())


@pytest.mark.parametrize("kind", [Delta, Reasoning])
def test_a_writer_waits_for_a_slow_reader(kind: type[Delta | Reasoning]) -> None:
    async def main() -> None:
        log, reader = bounded()
        writer = asyncio.create_task(put_all(log, [kind(text=HALF), kind(text=HALF), kind(text="more")]))
        await turns_of_the_loop()
        assert not writer.done()
        assert len(reader.take()) == 2
        await writer
        assert reader.take() == [kind(text="more")]

    run_ahead(main())


def test_the_last_event_never_waits() -> None:
    async def main() -> None:
        log, reader = bounded()
        await put_all(log, [Delta(text=HALF), Delta(text=HALF)])
        log.end(Cancelled(usage=None))
        assert reader.take()[-1] == Cancelled(usage=None)

    run_ahead(main())


def test_a_writer_that_was_cancelled_does_not_trouble_the_reader() -> None:
    async def main() -> None:
        log, reader = bounded()
        writer = asyncio.create_task(put_all(log, [Delta(text=HALF), Delta(text=HALF), Delta(text="more")]))
        await turns_of_the_loop()
        writer.cancel()
        await turns_of_the_loop()
        assert len(reader.take()) == 2

    run_ahead(main())


@pytest.mark.parametrize("last", [Delta(text=HALF), Cancelled(usage=None)])
def test_a_patient_reader_is_woken_by_the_end_and_by_a_full_channel(last: Delta | Cancelled) -> None:
    async def main() -> None:
        log, reader = bounded()
        reader.waits_for_end = True
        waiting = asyncio.ensure_future(reader.wait())
        await turns_of_the_loop()
        log.add(Delta(text=HALF))
        await turns_of_the_loop()
        assert not waiting.done()
        if isinstance(last, Delta):
            log.add(last)
        else:
            log.end(last)
        await turns_of_the_loop()
        assert waiting.done()
        assert reader.take() == [Delta(text=HALF), last]

    run_ahead(main())
