"""The channel between a turn and its reader."""

from __future__ import annotations

import asyncio

import pytest

from tests.unit.aio import run_ahead
from waldur_chat.engine.channel import CAPACITY, Channel
from waldur_chat.events import Cancelled, Delta, Event, Reasoning, Started

HALF = "x" * (CAPACITY // 2)


async def put_all(channel: Channel, events: list[Event]) -> None:
    for event in events:
        await channel.drained()
        channel.add(event)


async def turns_of_the_loop() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_events_come_out_in_order() -> None:
    async def main() -> None:
        channel = Channel()
        events: list[Event] = [Started(turn="1"), Delta(text="a"), Reasoning(text="b"), Delta(text="c")]
        await put_all(channel, events)
        channel.end(Cancelled(usage=None))
        assert channel.take() == [*events, Cancelled(usage=None)]
        assert channel.take() == []

    run_ahead(main())


def test_peeking_takes_nothing() -> None:
    async def main() -> None:
        channel = Channel()
        channel.add(Delta(text="a"))
        assert channel.peek() == Delta(text="a")
        assert channel.take() == [Delta(text="a")]

    run_ahead(main())


def test_a_reader_is_woken_by_what_comes() -> None:
    async def main() -> None:
        channel = Channel()
        reader = asyncio.ensure_future(channel.wait())
        await turns_of_the_loop()
        await put_all(channel, [Delta(text="a"), Delta(text="b")])
        await reader
        assert channel.take()

    run_ahead(main())


def test_a_reader_does_not_wait_for_what_is_there() -> None:
    async def main() -> None:
        channel = Channel()
        channel.add(Delta(text="a"))
        await channel.wait(timeout=0)
        assert channel.take()

    run_ahead(main())


def test_a_reader_waits_no_longer_than_he_likes() -> None:
    async def main() -> None:
        channel = Channel()
        await channel.wait(timeout=0.001)
        assert not channel.take()

    run_ahead(main())


def test_what_comes_in_time_stops_the_timer() -> None:
    async def main() -> None:
        channel = Channel()
        reader = asyncio.ensure_future(channel.wait(timeout=0.05))
        await turns_of_the_loop()
        channel.end(Cancelled(usage=None))
        await reader
        assert channel.take()
        waiting = asyncio.ensure_future(channel.wait())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        waiting.cancel()

    run_ahead(main())


def test_a_reader_that_was_cancelled_may_come_back() -> None:
    async def main() -> None:
        channel = Channel()
        reader = asyncio.ensure_future(channel.wait())
        await turns_of_the_loop()
        reader.cancel()
        channel.add(Delta(text="a"))
        await channel.wait()
        assert channel.take()

    run_ahead(main())


@pytest.mark.parametrize("kind", [Delta, Reasoning])
def test_a_writer_waits_for_a_slow_reader(kind: type[Delta | Reasoning]) -> None:
    async def main() -> None:
        channel = Channel()
        writer = asyncio.create_task(put_all(channel, [kind(text=HALF), kind(text=HALF), kind(text="more")]))
        await turns_of_the_loop()
        assert not writer.done()
        assert len(channel.take()) == 2
        await writer
        assert channel.take() == [kind(text="more")]

    run_ahead(main())


def test_the_last_event_never_waits() -> None:
    async def main() -> None:
        channel = Channel()
        await put_all(channel, [Delta(text=HALF), Delta(text=HALF)])
        channel.end(Cancelled(usage=None))
        assert channel.take()[-1] == Cancelled(usage=None)

    run_ahead(main())


def test_a_writer_that_was_cancelled_does_not_trouble_the_reader() -> None:
    async def main() -> None:
        channel = Channel()
        writer = asyncio.create_task(put_all(channel, [Delta(text=HALF), Delta(text=HALF), Delta(text="more")]))
        await turns_of_the_loop()
        writer.cancel()
        await turns_of_the_loop()
        assert len(channel.take()) == 2

    run_ahead(main())


@pytest.mark.parametrize("last", [Delta(text=HALF), Cancelled(usage=None)])
def test_a_patient_reader_is_woken_by_the_end_and_by_a_full_channel(last: Delta | Cancelled) -> None:
    async def main() -> None:
        channel = Channel()
        channel.want_whole()
        waiting = asyncio.ensure_future(channel.wait())
        await turns_of_the_loop()
        channel.add(Delta(text=HALF))
        await turns_of_the_loop()
        assert not waiting.done()
        if isinstance(last, Delta):
            channel.add(last)
        else:
            channel.end(last)
        await turns_of_the_loop()
        assert waiting.done()
        assert channel.take() == [Delta(text=HALF), last]

    run_ahead(main())
