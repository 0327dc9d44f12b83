"""The gate: so many turns at once, a queue in front, and refusals."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.unit.aio import run, run_ahead, until
from waldur_chat.conf import Settings
from waldur_chat.engine.limiter import ConcurrencyLimiter, limiter_of_process
from waldur_chat.errors import ChatBusy, TooManyTurns


def settings(**values: object) -> Settings:
    return Settings(**{"turns_per_process": 2, "queue_length": 1, "queue_seconds": 30, **values})  # type: ignore[arg-type]


@asynccontextmanager
async def full(gate: ConcurrencyLimiter, user_id: str = "") -> AsyncIterator[None]:
    """Two turns run."""
    async with gate.enter(user_id, settings()), gate.enter(user_id, settings()):
        yield


async def enter(gate: ConcurrencyLimiter, user_id: str = "", **values: object) -> None:
    async with gate.enter(user_id, settings(**values)):
        pass


def test_who_finds_room_enters_and_leaves() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        for _ in range(3):
            async with full(gate):
                pass

    run_ahead(main())


def test_who_finds_no_room_waits_until_somebody_leaves() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            waiting = asyncio.create_task(enter(gate))
            await asyncio.sleep(0.01)
            assert not waiting.done()
        await waiting

    run_ahead(main())


def test_who_comes_first_is_let_in_first() -> None:
    async def main() -> None:
        gate, order = ConcurrencyLimiter(), []

        async def wait(number: int) -> None:
            async with gate.enter("", settings(queue_length=9)):
                order.append(number)

        async with full(gate):
            tasks = [asyncio.create_task(wait(number)) for number in range(5)]
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)
        assert order == [0, 1, 2, 3, 4]

    run_ahead(main())


def test_a_full_queue_refuses_and_says_when_to_come_again() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            waiting = asyncio.create_task(enter(gate))
            await asyncio.sleep(0.01)
            with pytest.raises(ChatBusy) as refused:
                gate.check("", settings())
            assert refused.value.retry_after == 5
            with pytest.raises(ChatBusy):
                await enter(gate)
        await waiting

    run_ahead(main())


def test_who_waits_too_long_is_refused_and_leaves_the_queue() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            for _ in range(3):
                with pytest.raises(ChatBusy):
                    await enter(gate, queue_seconds=0.01)
        await enter(gate)

    run_ahead(main())


def test_who_is_stopped_while_waiting_leaves_the_queue() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            waiting = asyncio.create_task(enter(gate))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.wait({waiting})
            gate.check("", settings())
        await enter(gate, queue_length=0)

    run_ahead(main())


def test_who_is_stopped_at_the_moment_he_is_called_leaves_the_place_to_the_next() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            waiting = [asyncio.create_task(enter(gate, queue_length=9)) for _ in range(2)]
            await asyncio.sleep(0.01)
        waiting[0].cancel()
        await waiting[1]
        async with full(gate):
            pass

    run_ahead(main())


def test_a_user_has_his_own_limit() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate, user_id="7"):
            with pytest.raises(TooManyTurns):
                gate.check("7", settings(turns_per_user=2, turns_per_process=None))
            with pytest.raises(TooManyTurns):
                await enter(gate, "7", turns_per_user=2)
            gate.check("8", settings(turns_per_user=2, turns_per_process=None))
        await enter(gate, "7", turns_per_user=2)

    run_ahead(main())


def test_nobody_in_particular_has_no_limit_of_his_own() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with full(gate):
            gate.check("", settings(turns_per_user=1, turns_per_process=None))

    run_ahead(main())


def test_whoever_waits_for_something_else_waits_in_the_same_queue() -> None:
    async def main() -> None:
        gate = ConcurrencyLimiter()
        async with gate.queued(settings()):
            with pytest.raises(ChatBusy):
                async with gate.queued(settings()):
                    pass
            async with full(gate):
                with pytest.raises(ChatBusy):
                    await enter(gate)
        async with gate.queued(settings()):
            pass

    run_ahead(main())


def test_turns_of_other_loops_count_and_call_each_other() -> None:
    gate = ConcurrencyLimiter()
    release, entered = threading.Event(), threading.Event()

    async def hold() -> None:
        async with full(gate):
            entered.set()
            await asyncio.get_running_loop().run_in_executor(None, release.wait)

    async def wait() -> None:
        waiting = asyncio.create_task(enter(gate))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        release.set()
        await waiting

    other = threading.Thread(target=lambda: asyncio.run(hold()))
    other.start()
    entered.wait()
    run(wait())
    other.join()


def test_a_waiter_whose_loop_has_gone_does_not_keep_the_place() -> None:
    gate = ConcurrencyLimiter()

    async def main() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(full(gate))
            loop = asyncio.new_event_loop()
            forgotten = enter(gate)
            task = loop.create_task(forgotten)
            await asyncio.to_thread(_steps, loop, lambda: bool(gate._queue))
            loop.close()
        async with full(gate):
            with pytest.raises(ChatBusy):
                gate.check("", settings(queue_length=0))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        forgotten.close()

    run(main())


def _steps(loop: asyncio.AbstractEventLoop, condition: Callable[[], bool]) -> None:
    async def wait() -> None:
        await until(condition)

    loop.run_until_complete(wait())


def test_a_forked_child_has_a_gate_of_its_own() -> None:
    before = limiter_of_process()
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, b"1" if limiter_of_process() is not before else b"0")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 1) == b"1"
    os.close(reading)
    os.close(writing)
