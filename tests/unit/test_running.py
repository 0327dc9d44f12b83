"""The turns of this process: found by their ids, and told when the server stops."""

from __future__ import annotations

import asyncio
import atexit
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from tests.unit.aio import FakeLifecycle, begin, everything, run, run_ahead, turn_of, until
from waldur_chat import chat
from waldur_chat.engine import running_turns
from waldur_chat.errors import ServerStopping
from waldur_chat.events import Cancelled, Failed, Finished
from waldur_chat.runtime import shutdown
from waldur_chat.runtime.loop import BackgroundLoop
from waldur_chat.testing import Script


class Server:
    """Handles SIGTERM as gunicorn's workers do (`alive`), or as uvicorn's servers do (`should_exit`)."""

    alive = True
    should_exit = False

    def handle_exit(self, number: int, frame: object) -> None:
        """Never called here."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server around this process."""
    one = Server()
    before = signal.signal(signal.SIGTERM, one.handle_exit)
    monkeypatch.setattr(running_turns, "POLL_SECONDS", 0.02)
    yield one
    signal.signal(signal.SIGTERM, before)


def test_a_turn_is_stopped_by_its_id() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a", 30]))
        await turn.first()
        assert chat.cancel(turn.id)
        assert isinstance((await everything(turn))[-1], Cancelled)

    run_ahead(main())


def test_a_turn_that_has_ended_is_not_found() -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a"]))
        await everything(turn)
        assert not chat.cancel(turn.id)

    run_ahead(main())


def test_without_a_server_nothing_stops() -> None:
    assert not shutdown.server_is_stopping()


@pytest.mark.parametrize("change", [{"alive": False}, {"should_exit": True}])
def test_a_server_that_stops_is_seen(server: Server, change: dict[str, bool]) -> None:
    assert not shutdown.server_is_stopping()
    vars(server).update(change)
    assert shutdown.server_is_stopping()


def serving(module: str) -> Any:
    """An object of this module that serves on an event loop, as gunicorn's ASGI worker does."""

    class Worker:
        alive = True

        async def serve(self) -> None:
            await asyncio.sleep(30)

    Worker.__module__ = module
    return Worker()


@pytest.mark.parametrize(("module", "is_seen"), [("gunicorn.workers.gasgi", True), ("elsewhere", False)])
def test_a_worker_that_serves_on_the_loop_is_seen(module: str, is_seen: bool, with_shortcuts: None) -> None:
    async def main() -> None:
        loop, worker = asyncio.get_running_loop(), serving(module)
        task = asyncio.create_task(worker.serve())
        await asyncio.sleep(0)
        assert not shutdown.server_is_stopping(loop)
        worker.alive = False
        assert shutdown.server_is_stopping(loop) is is_seen
        task.cancel()

    run_ahead(main())


def test_turns_end_when_the_server_stops_and_their_time_is_over(server: Server) -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a", 30]), shutdown_seconds=0.1)
        await turn.first()
        server.alive = False
        last = (await everything(turn))[-1]
        assert isinstance(last, Failed)
        assert type(last.error) is ServerStopping

    run_ahead(main(), seconds=5)


def test_turns_that_begin_while_the_server_stops_have_what_is_left_of_the_time(server: Server) -> None:
    async def main() -> None:
        server.alive = False
        first = begin(Script(steps=["a", 0.2]), shutdown_seconds=30)
        await everything(first)
        second = begin(Script(steps=["b", 30]), shutdown_seconds=0.1)
        last = (await everything(second))[-1]
        assert isinstance(last, Failed)
        assert last.error.code == "server_stopping"

    run(main(), seconds=5)


@pytest.mark.parametrize("is_being_kept", [False, True])
def test_a_server_that_can_waits_for_a_turn_that_nobody_reads(server: Server, is_being_kept: bool) -> None:
    held: set[asyncio.Task[None]] = set()
    vars(server)["server_state"] = SimpleNamespace(tasks=held)

    async def main() -> None:
        lifecycle = FakeLifecycle(takes=0.1)
        turn = turn_of(Script(steps=["a", 0.1, "b"]), lifecycle)
        turn.start(asyncio.get_running_loop())
        await turn.first()
        if is_being_kept:
            await until(lambda: "finish" in lifecycle.told)
        assert not held, "its reader is waited for"
        turn.close()
        await until(lambda: held)
        await until(lambda: not held)
        assert [text for text, _ in lifecycle.kept] == ["ab"]

    run_ahead(main())


def test_a_server_does_not_wait_for_a_turn_of_another_loop(server: Server) -> None:
    held: set[object] = set()
    vars(server)["server_state"] = SimpleNamespace(tasks=held)
    with ThreadPoolExecutor(1) as threads:
        threads.submit(shutdown.delay_until_done, Mock()).result()
    assert not held


def test_a_process_that_has_stopped_waits_for_the_turns_of_its_background_loop(server: Server) -> None:
    server.alive = False
    one = BackgroundLoop()
    atexit.unregister(one.stop)
    lifecycle = FakeLifecycle()
    turn = turn_of(Script(steps=["a", 0.3, "b"]), lifecycle)
    turn.start(one.loop)
    asyncio.run_coroutine_threadsafe(turn.first(), one.loop).result(10)
    turn.close()
    one.stop()
    assert [text for text, _ in lifecycle.kept] == ["ab"]


def test_a_loop_without_turns_is_forgotten(server: Server) -> None:
    async def main() -> None:
        turn = begin(Script(steps=["a"]))
        assert isinstance((await everything(turn))[-1], Finished)
        await asyncio.sleep(0.1)
        assert asyncio.get_running_loop() not in running_turns.registry().turns

    run_ahead(main())


def test_a_loop_that_was_closed_is_forgotten_by_the_next() -> None:
    async def main() -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        running_turns.add(SimpleNamespace(id="1", cancel=None, on_server_stopping=None), loop)
        return loop

    first = asyncio.run(main())
    second = asyncio.run(main())
    assert first not in running_turns.registry().turns
    assert running_turns.registry().turns.pop(second)
