"""What is synchronous of a request runs in a thread that is leased, and kept for the next request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async

from tests.acceptance.streams import eventually
from tests.unit.aio import run
from waldur_chat.asgi import executor, thread_pool
from waldur_chat.asgi.executor import RequestExecutor, request_executor
from waldur_chat.asgi.thread_pool import RequestThread
from waldur_chat.runtime import connections as runtime_connections
from waldur_chat.runtime import shortcuts
from waldur_chat.runtime.connections import release_connections

Resting = deque[RequestThread]


class Connection:
    """What there is of a database connection in a thread."""

    connection: object = None
    in_atomic_block = False
    close_at: float | None = 0.0
    """At once, as Django does unless `CONN_MAX_AGE` says otherwise."""

    def __init__(self, closed: list[int]) -> None:
        self.closed = closed

    def close(self) -> None:
        if self.connection is not None:
            self.connection = None
            self.closed.append(threading.get_ident())

    def close_if_unusable_or_obsolete(self) -> None:
        if self.close_at is not None and self.close_at <= time.monotonic():
            self.close()


class Connections:
    """Those of each thread. `closed` has the thread in which one was closed."""

    def __init__(self) -> None:
        self._local = threading.local()
        self.closed: list[int] = []

    @property
    def own(self) -> Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = Connection(self.closed)
        found: Connection = self._local.connection
        return found

    def all(self, initialized_only: bool = False) -> list[Connection]:
        return [self.own]

    def close_all(self) -> None:
        self.own.close()

    def open(self, close_at: float | None = 0.0, *, in_atomic_block: bool = False) -> int:
        """Open that of the thread that calls this; gives the thread."""
        self.own.connection, self.own.close_at, self.own.in_atomic_block = object(), close_at, in_atomic_block
        return threading.get_ident()

    def is_open(self) -> bool:
        """Whether that of the thread that calls this is."""
        return self.own.connection is not None


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    made = Connections()
    monkeypatch.setattr(thread_pool, "connections", made)
    monkeypatch.setattr(runtime_connections, "connections", made)
    return made


async def call(own: RequestExecutor, function: Callable[[], Any]) -> Any:
    """As asgiref does."""
    return await asyncio.get_running_loop().run_in_executor(own, function)


async def request(*functions: Callable[[], Any]) -> list[Any]:
    """A request that calls these; gives what they give."""
    own = RequestExecutor()
    try:
        return [await call(own, one) for one in functions]
    finally:
        own.end()


def test_a_thread_is_kept_for_the_next_request(resting: Resting) -> None:
    async def main() -> set[int]:
        return {thread for _ in range(3) for thread in await request(threading.get_ident, threading.get_ident)}

    seen = run(main())
    assert len(seen) == len(resting) == 1
    assert threading.get_ident() not in seen


def test_requests_at_once_have_threads_of_their_own(resting: Resting) -> None:
    async def main() -> int:
        barrier = threading.Barrier(3)
        found = await asyncio.gather(*(request(lambda: barrier.wait(5), threading.get_ident) for _ in range(3)))
        return len({thread for _, thread in found})

    assert run(main()) == len(resting) == 3


def test_until_it_waits_a_request_has_one_thread_of_its_own(resting: Resting) -> None:
    """Middleware of the site may leave something there for the view, and others must not find it."""

    async def main() -> None:
        own = RequestExecutor()
        first = await call(own, threading.get_ident)
        assert not resting
        assert first not in await request(threading.get_ident)
        assert await call(own, threading.get_ident) == first
        own.end()

    run(main())


def test_while_a_request_waits_another_uses_its_thread_and_calls_keep_none(resting: Resting) -> None:
    async def main() -> None:
        own = RequestExecutor()
        first = await call(own, threading.get_ident)
        own.release()
        assert await request(threading.get_ident) == [first]
        assert await call(own, threading.get_ident) == first
        assert len(resting) == 1
        own.end()
        assert len(resting) == 1

    run(main())


def test_no_more_threads_are_kept_than_said(resting: Resting, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        barrier = threading.Barrier(3)
        await asyncio.gather(*(request(lambda: barrier.wait(5)) for _ in range(3)))

    monkeypatch.setattr(thread_pool, "MAX_IDLE", 2)
    run(main())
    assert len(resting) == 2


def test_a_thread_that_has_rested_for_long_ends_with_its_connection(resting: Resting, connections: Connections) -> None:
    async def main() -> None:
        barrier = threading.Barrier(2)
        await asyncio.gather(*(request(lambda: connections.open(None), lambda: barrier.wait(5)) for _ in range(2)))
        resting[0].idle_since -= thread_pool.MAX_IDLE_SECONDS + 1
        await request(threading.get_ident)

    run(main())
    assert len(resting) == 1
    assert eventually(lambda: len(connections.closed) == 1)


def test_a_call_that_nobody_waits_for_any_more_is_not_begun(resting: Resting) -> None:
    called: list[int] = []

    async def main() -> None:
        own, go_on = RequestExecutor(), threading.Event()
        first = own.submit(go_on.wait, 5)
        assert own.submit(called.append, 1).cancel()
        go_on.set()
        await asyncio.wrap_future(first)
        await call(own, lambda: called.append(2))
        own.end()

    run(main())
    assert called == [2]
    assert len(resting) == 1


@pytest.mark.parametrize(("seconds", "stays"), [(None, True), (60, True), (0, False)])
def test_a_connection_stays_open_for_the_next_request_as_long_as_the_site_wants(
    seconds: float | None, stays: bool, connections: Connections
) -> None:
    async def main() -> list[Any]:
        await request(lambda: connections.open(None if seconds is None else time.monotonic() + seconds))
        return await request(connections.is_open)

    assert run(main()) == [stays]
    assert len(connections.closed) == (not stays)


def test_a_thread_that_is_no_request_s_keeps_none(connections: Connections) -> None:
    connections.open(None)
    assert release_connections()
    assert not connections.is_open()


def test_a_thread_with_a_transaction_stays_with_its_request_and_ends_with_it(
    connections: Connections, resting: Resting
) -> None:
    async def main() -> None:
        own = RequestExecutor()
        thread = await call(own, lambda: connections.open(in_atomic_block=True))
        own.release()
        assert await call(own, threading.get_ident) == thread
        own.end()

    run(main())
    assert not resting
    assert eventually(lambda: len(connections.closed) == 1)


@pytest.mark.parametrize("in_atomic_block", [False, True])
def test_a_thread_that_a_request_has_left_at_work_rests_when_it_is_done_unless_in_a_transaction(
    in_atomic_block: bool, connections: Connections, resting: Resting
) -> None:
    async def main() -> None:
        own, go_on = RequestExecutor(), threading.Event()
        working = asyncio.ensure_future(
            call(own, lambda: (go_on.wait(5), connections.open(in_atomic_block=in_atomic_block)))
        )
        await asyncio.sleep(0)
        assert own.is_busy
        own.end()
        assert not resting
        go_on.set()
        await working
        assert not own.is_busy

    run(main())
    assert len(resting) == (not in_atomic_block)
    assert eventually(lambda: len(connections.closed) == 1)


def test_what_raises_in_the_thread_raises_where_it_is_awaited() -> None:
    def fail() -> None:
        raise LookupError("no")

    with pytest.raises(LookupError, match="no"):
        run(request(fail))


def test_event_loops_share_the_threads() -> None:
    assert run(request(threading.get_ident)) == run(request(threading.get_ident))


async def receive() -> dict[str, Any]:
    """A request without a body."""
    return {"type": "http.request"}


def serve(function: Callable[[], Any]) -> tuple[Any, bool]:
    """What it gives when it is called within a request that is served, and whether that has an executor of ours."""

    async def main() -> tuple[Any, bool]:
        async with request_executor(receive) as receive_in_turn, ThreadSensitiveContext():  # The latter is Django's.
            await receive_in_turn()
            result = await sync_to_async(function)(), executor.current() is not None
        assert executor.current() is None
        return result

    return run(main())


def test_asgiref_uses_it_where_it_takes_one(resting: Resting) -> None:
    name, has_own = serve(lambda: threading.current_thread().name)
    takes_one = shortcuts.is_on("request_executor")
    assert name.startswith("waldur-chat-request") is has_own is takes_one
    assert len(resting) == takes_one


def test_without_shortcuts_requests_go_django_s_way(no_shortcuts: None, resting: Resting) -> None:
    name, has_own = serve(lambda: threading.current_thread().name)
    assert (name.startswith("waldur-chat-request"), has_own, list(resting)) == (False, False, [])


class Door:
    """Lets requests in, of which one at once has its view."""

    def __init__(self) -> None:
        self.inside: list[int] = []
        self.admissions: dict[int, executor._Admission] = {}

    async def enter(self, number: int) -> None:
        self.admissions[number] = executor._Admission(receive)
        await self.admissions[number].receive()
        self.inside.append(number)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    monkeypatch.setattr(thread_pool, "MAX_IDLE", 1)
    return Door()


def test_no_more_requests_have_their_view_at_once_than_there_are_threads_to_keep(door: Door) -> None:
    async def main() -> None:
        entering = [asyncio.ensure_future(door.enter(number)) for number in range(3)]
        for number in range(3):
            await entering[number]
            await asyncio.sleep(0.01)
            assert door.inside == list(range(number + 1))
            door.admissions[number].release()
            door.admissions[number].release()

    run(main())


def test_who_waits_is_let_in_when_nobody_leaves(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is inside may have asked us in turn, and wait for the answer."""
    monkeypatch.setattr(executor, "STALL_SECONDS", 0.05)

    async def main() -> None:
        await door.enter(0)
        await door.enter(1)
        door.admissions[1].release()  # It never had a place.
        waiting = asyncio.ensure_future(door.enter(2))
        await asyncio.sleep(0.02)
        assert door.inside == [0, 1]
        await waiting

    run(main())


def test_who_waits_goes_on_waiting_while_others_get_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "STALL_SECONDS", 0.2)

    async def main() -> None:
        entering = [asyncio.ensure_future(door.enter(number)) for number in range(3)]
        await entering[0]
        await asyncio.sleep(0.1)
        door.admissions[0].release()
        await asyncio.sleep(0.15)
        assert door.inside == [0, 1]
        for one in entering[2:]:
            one.cancel()

    run(main())


def test_a_body_that_has_not_arrived_takes_no_place(door: Door) -> None:
    async def half() -> dict[str, Any]:
        return {"type": "http.request", "more_body": True}

    async def main() -> None:
        for _ in range(3):
            await executor._Admission(half).receive()
        await door.enter(0)

    run(main())
