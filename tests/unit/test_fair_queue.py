"""Streams that are always ready take turns, and the rest of their event loop goes on."""

from __future__ import annotations

import asyncio

from tests.unit.aio import FakeLifecycle, everything, run, run_ahead, turn_of
from waldur_chat.engine.event_log import EventLog
from waldur_chat.engine.rounds.idle_timeout import IdleTimeout
from waldur_chat.runtime.fair_queue import SHARE, FairQueue, fair_queue
from waldur_chat.testing import Script


async def passes(count: int) -> None:
    """Wait for so many passes of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_in_each_pass_of_the_loop_one_goes_on() -> None:
    went_on: list[int] = []

    async def queue_up(queue: FairQueue, number: int) -> None:
        await queue.wait()
        went_on.append(number)

    async def main() -> None:
        queue = FairQueue()
        tasks = [asyncio.create_task(queue_up(queue, number)) for number in range(5)]
        while not went_on:
            await passes(1)
        seen = [len(went_on)]
        for _ in range(4):
            await passes(1)
            seen.append(len(went_on))
        assert seen == [1, 2, 3, 4, 5]
        await asyncio.gather(*tasks)
        assert went_on == [0, 1, 2, 3, 4]

    run_ahead(main())


def test_one_that_leaves_the_queue_keeps_nobody_waiting() -> None:
    async def main() -> None:
        queue = FairQueue()
        tasks = [asyncio.create_task(queue.wait()) for _ in range(3)]
        await passes(1)
        tasks[0].cancel()
        tasks[2].cancel()
        await tasks[1]
        await asyncio.wait(tasks)
        assert [task.cancelled() for task in tasks] == [True, False, True]
        await queue.wait()

    run_ahead(main())


def test_each_loop_has_a_queue_of_its_own() -> None:
    async def queues() -> tuple[FairQueue, FairQueue]:
        return fair_queue(), fair_queue()

    first, again = run(queues())
    assert first is again
    assert run(queues())[0] is not first


def test_an_answer_that_is_always_ready_lets_others_go_on() -> None:
    shares = 20

    async def main() -> int:
        turn = turn_of(Script(steps=["x" * (SHARE // 4)] * (4 * shares)), FakeLifecycle())
        turn.start(asyncio.get_running_loop())
        await turn.first()
        seen = 0
        while turn.log.terminal is None:
            await passes(1)
            seen += 1
        assert len((await everything(turn))[1].text) == shares * SHARE  # type: ignore[union-attr]
        return seen

    assert run_ahead(main()) > shares


def test_answers_that_are_always_ready_advance_together() -> None:
    async def main() -> None:
        turns = [turn_of(Script(steps=["x" * SHARE] * 50), FakeLifecycle()) for _ in range(5)]
        for turn in turns:
            turn.start(asyncio.get_running_loop())
        while not any(turn.log.terminal for turn in turns):
            lengths = [turn.log.text.length for turn in turns]
            assert max(lengths) - min(lengths) <= 2 * SHARE
            await passes(1)
        await asyncio.gather(*map(everything, turns))

    run_ahead(main())


def test_waiting_for_others_is_no_silence_of_the_provider() -> None:
    async def main() -> None:
        timed_out: list[bool] = []
        loop = asyncio.get_running_loop()
        idle = IdleTimeout(loop, 1.0, EventLog(), lambda: timed_out.append(True))
        await idle.pause(asyncio.sleep(5))
        assert not timed_out
        idle.last_event_at = loop.time()
        await asyncio.sleep(2.1)
        assert timed_out

    run_ahead(main())
