"""Acts in a thread of their own: one after the other, whatever becomes of who asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from django.db import OperationalError

from tests.unit.aio import run, until
from waldur_chat.runtime import supervised_thread
from waldur_chat.runtime import worker as worker_module
from waldur_chat.runtime.worker import MAX_BATCH, MAX_BATCH_SIZE, Worker

worker = Worker("waldur-chat-test")


def test_an_act_gives_what_it_returns() -> None:
    async def main() -> None:
        assert await worker.submit(lambda a, b: a + b, 1, 2) == 3
        assert await worker.submit(lambda: threading.current_thread().name) == "waldur-chat-test"

    run(main())


def test_an_act_raises_what_it_raises() -> None:
    async def main() -> None:
        await worker.submit(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_acts_follow_each_other_also_when_who_asked_has_gone() -> None:
    done: list[int] = []

    def slowly(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    async def main() -> None:
        first, second = worker.submit(slowly, 1), worker.submit(slowly, 2)
        first.cancel()
        await second
        assert done == [1, 2]

    run(main())


def test_an_act_whose_loop_has_gone_is_done_too() -> None:
    release, done = threading.Event(), threading.Event()

    def act() -> None:
        release.wait()
        done.set()

    async def main() -> None:
        worker.submit(act)

    run(main())
    release.set()
    assert done.wait(5)
    run(until(lambda: True))
    assert asyncio.run(_one()) == 1


async def _one() -> int:
    return await worker.submit(lambda: 1)


def test_an_act_that_stands_still_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised_thread, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(worker_module, "TIMEOUT_SECONDS", 0.3)
    release, done = threading.Event(), []

    def stand_still(numbers: Sequence[int]) -> Sequence[int]:
        if not done:
            done.append("once")
            release.wait(10)
            raise OperationalError("gone")
        return numbers

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        before = fresh.submit(time.sleep, 0.02)
        futures = [fresh.submit_batched(stand_still, number) for number in (1, 2)]
        after = fresh.submit(threading.current_thread)
        for late in futures:
            with pytest.raises(OperationalError, match="No answer in time"):
                await late
        other = await after
        await before
        assert await fresh.submit_batched(stand_still, 3) == 3
        release.set()
        assert await fresh.submit(threading.current_thread) is other

    run(main())


def test_a_drain_waits_for_what_was_asked_for() -> None:
    done: list[int] = []

    def slowly() -> None:
        time.sleep(0.05)
        done.append(1)

    async def main() -> None:
        worker.submit(slowly)

    run(main())
    worker.drain()
    assert done == [1]


def test_a_drain_does_not_wait_for_ever() -> None:
    release = threading.Event()

    async def main() -> None:
        worker.submit(release.wait)

    run(main())
    began = time.monotonic()
    worker.drain(0.05)
    release.set()
    assert 0.05 <= time.monotonic() - began < 5


def test_a_worker_that_was_never_asked_has_nothing_to_drain() -> None:
    Worker("waldur-chat-idle").drain(60)


def test_what_is_asked_while_the_process_exits_is_done() -> None:
    code = """
import asyncio, atexit, concurrent.futures.thread
from waldur_chat.runtime.worker import MAX_BATCH, MAX_BATCH_SIZE, Worker
atexit.register(lambda: asyncio.run(main()))
async def main():
    print(await Worker("w").submit(lambda: "done"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


def test_what_waits_is_done_together_and_each_gets_its_own() -> None:
    release, taken = threading.Event(), []

    def double(numbers: Sequence[int]) -> list[int]:
        taken.append(list(numbers))
        return [2 * number for number in numbers]

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        before = fresh.submit(release.wait)
        futures = [fresh.submit_batched(double, number) for number in range(MAX_BATCH + 2)]
        after = fresh.submit(lambda: len(taken))
        futures[1].cancel()
        release.set()
        assert await before
        assert await futures[0] == 0
        assert await asyncio.gather(*futures[2:]) == list(range(4, 2 * MAX_BATCH + 4, 2))
        assert taken == [list(range(MAX_BATCH)), [MAX_BATCH, MAX_BATCH + 1]]
        assert await after == 2
        assert await fresh.submit_batched(double, 7) == 14

    run(main())


def test_those_of_two_groups_are_not_done_together() -> None:
    release, taken = threading.Event(), []

    def double(numbers: Sequence[int]) -> list[int]:
        taken.append(list(numbers))
        return [2 * number for number in numbers]

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        fresh.submit(release.wait)
        futures = [fresh.submit_batched(double, number, number % 2) for number in range(5)]
        release.set()
        assert await asyncio.gather(*futures) == [0, 2, 4, 6, 8]
        assert taken == [[0, 2, 4], [1, 3]]

    run(main())


def test_a_batch_takes_no_more_items_once_it_is_large() -> None:
    release, taken = threading.Event(), []

    def note(numbers: Sequence[int]) -> Sequence[int]:
        taken.append(list(numbers))
        return numbers

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        fresh.submit(release.wait)
        futures = [fresh.submit_batched(note, number, size=MAX_BATCH_SIZE // 2) for number in range(5)]
        release.set()
        await asyncio.gather(*futures)
        assert taken == [[0, 1], [2, 3], [4]]

    run(main())


def test_what_fails_together_is_done_one_by_one() -> None:
    release, taken = threading.Event(), []

    def invert(numbers: Sequence[int]) -> list[float]:
        taken.append(list(numbers))
        return [1 / number for number in numbers]

    async def main() -> None:
        fresh = Worker("waldur-chat-test")
        fresh.submit(release.wait)
        futures = [fresh.submit_batched(invert, number) for number in (1, 0, 2)]
        release.set()
        one, failed, half = await asyncio.gather(*futures, return_exceptions=True)
        assert (one, type(failed), half) == (1.0, ZeroDivisionError, 0.5)
        assert taken == [[1, 0, 2], [1], [0], [2]]

    run(main())


def test_those_of_several_loops_are_done_together() -> None:
    fresh, release, asked = Worker("waldur-chat-test"), threading.Event(), threading.Barrier(3)
    taken: list[int] = []

    def count(numbers: Sequence[int]) -> Sequence[int]:
        taken.append(len(numbers))
        return numbers

    async def ask(number: int) -> int:
        future = fresh.submit_batched(count, number)
        asked.wait(10)
        return await future

    async def main() -> None:
        held = fresh.submit(release.wait)
        others = [asyncio.create_task(asyncio.to_thread(asyncio.run, ask(number))) for number in (1, 2)]
        await asyncio.to_thread(asked.wait, 10)
        release.set()
        assert await held
        assert await asyncio.gather(*others) == [1, 2]

    run(main())
    assert taken == [2]
