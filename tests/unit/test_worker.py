"""Acts in a thread of their own: one after the other, whatever becomes of who asked."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from tests.unit.aio import run, until
from waldur_chat.engine.worker import Worker

worker = Worker("waldur-chat-test")


def test_an_act_gives_what_it_returns() -> None:
    async def main() -> None:
        assert await worker.do(lambda a, b: a + b, 1, 2) == 3
        assert await worker.do(lambda: threading.current_thread().name) == "waldur-chat-test"

    run(main())


def test_an_act_raises_what_it_raises() -> None:
    async def main() -> None:
        await worker.do(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(main())


def test_acts_follow_each_other_also_when_who_asked_has_gone() -> None:
    done: list[int] = []

    def slowly(number: int) -> None:
        time.sleep(0.02)
        done.append(number)

    async def main() -> None:
        first, second = worker.do(slowly, 1), worker.do(slowly, 2)
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
        worker.do(act)

    run(main())
    release.set()
    assert done.wait(5)
    run(until(lambda: True))
    assert asyncio.run(_one()) == 1


async def _one() -> int:
    return await worker.do(lambda: 1)


def test_a_drain_waits_for_what_was_asked_for() -> None:
    done: list[int] = []

    def slowly() -> None:
        time.sleep(0.05)
        done.append(1)

    async def main() -> None:
        worker.do(slowly)

    run(main())
    worker.drain()
    assert done == [1]


def test_a_drain_does_not_wait_for_ever() -> None:
    release = threading.Event()

    async def main() -> None:
        worker.do(release.wait)

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
from waldur_chat.engine.worker import Worker
atexit.register(lambda: asyncio.run(main()))
async def main():
    print(await Worker("w").do(lambda: "done"))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
