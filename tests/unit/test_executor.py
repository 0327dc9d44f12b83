"""The synchronous parts of a request run in a thread that is kept, and what only looks at it on the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, ThreadSensitiveContext, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import RequestFactory

from tests.acceptance.streams import eventually
from tests.unit.aio import run
from waldur_chat.api import kept_threads
from waldur_chat.api.executor import RequestExecutor
from waldur_chat.api.kept_threads import give_back_connections

pytestmark = pytest.mark.usefixtures("resting")

seen_thread = sync_to_async(threading.get_ident)


class Connection:
    """What there is of a database connection in a thread."""

    connection: object = None
    in_atomic_block = False
    close_at: float | None = 0.0
    """At once, as Django does unless `CONN_MAX_AGE` says otherwise."""

    def __init__(self, closed: list[int]) -> None:
        self.closed = closed

    def close(self) -> None:
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


@pytest.fixture(autouse=True)
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    made = Connections()
    monkeypatch.setattr(kept_threads, "connections", made)
    return made


def rest() -> None:
    """Let the request that runs now give its thread back."""
    context = SyncToAsync.thread_sensitive_context.get()
    SyncToAsync.context_to_thread_executor[context].rest()  # type: ignore[attr-defined]


async def settle() -> None:
    """Until the threads have done what they were given."""
    for thread in list(kept_threads._resting):
        await thread.submit(lambda: None)


def test_a_thread_is_kept_for_the_next_request(resting: list[Any]) -> None:
    async def request() -> tuple[int, int]:
        async with RequestExecutor():
            return await seen_thread(), await seen_thread()

    async def main() -> set[int]:
        return {thread for _ in range(3) for thread in await request()}

    seen = run(main())
    assert len(seen) == len(resting) == 1
    assert threading.get_ident() not in seen


def test_requests_at_once_have_threads_of_their_own(resting: list[Any]) -> None:
    async def request(barrier: threading.Barrier) -> int:
        async with RequestExecutor():
            await sync_to_async(barrier.wait)(5)
            return await seen_thread()

    async def main() -> list[int]:
        barrier = threading.Barrier(3)
        return await asyncio.gather(*(request(barrier) for _ in range(3)))

    assert len(set(run(main()))) == len(resting) == 3


def test_while_a_request_waits_another_uses_its_thread(resting: list[Any]) -> None:
    async def request() -> int:
        async with RequestExecutor():
            return await seen_thread()

    async def main() -> None:
        async with RequestExecutor():
            first = await seen_thread()
            rest()
            other = contextvars.Context().run(asyncio.create_task, request())  # Not one within this request.
            assert await other == first
            await seen_thread()
            assert not resting
        assert len(resting) == 1

    run(main())


def test_no_more_threads_are_kept_than_said(resting: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    async def request(barrier: threading.Barrier) -> None:
        async with RequestExecutor():
            await sync_to_async(barrier.wait)(5)

    async def main() -> None:
        barrier = threading.Barrier(3)
        await asyncio.gather(*(request(barrier) for _ in range(3)))

    monkeypatch.setattr(kept_threads, "MOST_KEPT", 2)
    run(main())
    assert len(resting) == 2  # And the third has ended: see no_thread_is_left().


def test_a_thread_rests_without_connections(connections: Connections) -> None:
    async def main() -> None:
        async with RequestExecutor():
            await sync_to_async(connect(connections, 0.0))()
            thread = await seen_thread()
        await settle()
        assert connections.closed == [thread]

    run(main())


def connect(connections: Connections, close_at: float | None) -> Callable[[], None]:
    """Opens one in the thread that runs it, for as long as that."""

    def open_one() -> None:
        connections.own.connection, connections.own.close_at = object(), close_at

    return open_one


async def leave_open(connections: Connections, close_at: float | None) -> bool:
    """Whether a request leaves its connection open for the next one."""
    async with RequestExecutor():
        await sync_to_async(connect(connections, close_at))()
    await settle()
    async with RequestExecutor():
        return await sync_to_async(lambda: connections.own.connection is not None)()


@pytest.mark.parametrize(("seconds", "stays"), [(None, True), (60, True), (0, False)])
def test_a_connection_stays_open_for_the_next_request_as_long_as_the_site_wants(
    seconds: float | None, stays: bool, connections: Connections
) -> None:
    close_at = None if seconds is None else time.monotonic() + seconds
    assert run(leave_open(connections, close_at)) is stays
    assert len(connections.closed) == (not stays)


def test_of_connections_that_no_request_uses_the_old_ones_are_closed(
    connections: Connections, resting: list[Any]
) -> None:
    async def request(barrier: threading.Barrier, close_at: float | None) -> None:
        async with RequestExecutor():
            await sync_to_async(connect(connections, close_at))()
            await sync_to_async(barrier.wait)(5)

    async def main() -> list[int]:
        barrier = threading.Barrier(3)
        await asyncio.gather(*(request(barrier, None) for _ in range(3)))
        for kept in resting:
            kept.connections[0].close_at = 0.0  # Long ago.
        closed = []
        for _ in range(3):  # Each uses the thread that the one before it has left.
            await request(threading.Barrier(1), None)
            await settle()
            closed.append(len(connections.closed))
        return closed

    assert run(main()) == [1, 2, 2]
    assert len(resting) == 3


def test_a_call_that_nobody_waits_for_any_more_is_not_begun() -> None:
    called: list[int] = []

    async def main() -> None:
        kept, go_on = kept_threads.KeptThread(), threading.Event()
        first = kept.submit(lambda: go_on.wait(5))
        kept.submit(lambda: called.append(1)).cancel()
        last = kept.submit(lambda: called.append(2))
        go_on.set()
        await asyncio.gather(first, last)
        kept.end()

    run(main())
    assert called == [2]


def test_a_thread_that_is_not_kept_leaves_no_connection(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with RequestExecutor():
            await sync_to_async(connect(connections, None))()

    monkeypatch.setattr(kept_threads, "MOST_KEPT", 0)
    run(main())
    assert eventually(lambda: len(connections.closed) == 1)


def test_a_thread_that_is_no_request_s_keeps_none(connections: Connections) -> None:
    connect(connections, None)()
    assert give_back_connections()
    assert connections.own.connection is None


def test_a_thread_with_a_transaction_stays_with_its_request_and_ends_with_it(
    connections: Connections, resting: list[Any]
) -> None:
    async def main() -> None:
        async with RequestExecutor():
            await sync_to_async(begin)()
            first = await seen_thread()
            rest()
            assert await seen_thread() == first
        assert not resting

    def begin() -> None:
        connections.own.in_atomic_block = True

    run(main())


async def rest_while_at_work(end: Callable[[], object]) -> threading.Thread:
    """A request rests while its thread is at work, which `end` is the last of; gives the thread."""
    begun, go_on = threading.Event(), threading.Event()

    def work() -> threading.Thread:
        begun.set()
        go_on.wait(5)
        end()
        return threading.current_thread()

    async with RequestExecutor():
        task = asyncio.create_task(sync_to_async(work)())
        await asyncio.to_thread(begun.wait, 5)
        rest()
        assert not kept_threads._resting
        go_on.set()
        return await task


def test_a_thread_that_a_request_has_left_at_work_rests_when_it_is_done(resting: list[Any]) -> None:
    run(rest_while_at_work(lambda: None))
    assert eventually(lambda: len(resting) == 1)  # The event loop is told of the end before.


def test_what_a_thread_began_meanwhile_keeps_it_from_the_next_request(
    connections: Connections, resting: list[Any]
) -> None:
    def begin() -> None:
        connections.own.in_atomic_block = True

    thread = run(rest_while_at_work(begin))
    thread.join(5)
    assert (thread.is_alive(), resting) == (False, [])


def test_within_another_context_nothing_is_changed(resting: list[Any]) -> None:
    async def main() -> None:
        async with ThreadSensitiveContext() as context, RequestExecutor():
            await seen_thread()
            given = SyncToAsync.context_to_thread_executor[context]
            assert not isinstance(given, RequestExecutor)
        assert not resting

    run(main())


def test_event_loops_share_the_threads() -> None:
    async def request() -> int:
        async with RequestExecutor():
            return await seen_thread()

    assert asyncio.run(request()) == asyncio.run(request())


def respond(request: Any) -> HttpResponse:
    return HttpResponse()


class Seen(SecurityMiddleware):
    """One of the site's own, which may do anything."""

    def process_request(self, request: HttpRequest) -> Any:
        return threading.get_ident()


@asynccontextmanager
async def counted() -> AsyncIterator[Callable[[], bool]]:
    """Within a request; tells whether it has used a thread."""
    async with RequestExecutor():
        context = SyncToAsync.thread_sensitive_context.get()
        given: Any = SyncToAsync.context_to_thread_executor[context]
        yield lambda: given._thread is not None


def uses_thread(call: Callable[[], Awaitable[object]]) -> bool:
    """Whether it changes threads."""

    async def main() -> bool:
        async with counted() as has_used:
            await call()
            return has_used()

    return run(main())


def test_what_only_looks_runs_on_the_event_loop() -> None:
    request = RequestFactory().get("/")
    middleware = SecurityMiddleware(respond)
    assert not uses_thread(lambda: sync_to_async(middleware.process_request, thread_sensitive=True)(request))


def test_middleware_of_the_site_runs_in_a_thread() -> None:
    request = RequestFactory().get("/")
    assert uses_thread(lambda: sync_to_async(Seen(respond).process_request, thread_sensitive=True)(request))


def test_what_may_wait_this_time_runs_in_a_thread(settings: Any) -> None:
    request = RequestFactory().get("/")
    look = sync_to_async(CsrfViewMiddleware(respond).process_request, thread_sensitive=True)
    assert not uses_thread(lambda: look(request))
    settings.CSRF_USE_SESSIONS = True
    request.session = {}  # type: ignore[assignment]
    assert uses_thread(lambda: look(request))


def test_what_raises_on_the_event_loop_raises_where_it_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, request: object) -> None:
        raise ValueError("no")

    fail.__name__ = "process_request"
    monkeypatch.setattr(SecurityMiddleware, "process_request", fail)
    look = sync_to_async(SecurityMiddleware(respond).process_request, thread_sensitive=True)
    with pytest.raises(ValueError, match="no"):
        uses_thread(lambda: look(RequestFactory().get("/")))


def test_what_raises_in_the_thread_raises_where_it_is_awaited() -> None:
    def fail() -> None:
        raise LookupError("no")

    async def main() -> None:
        async with RequestExecutor():
            await sync_to_async(fail)()

    with pytest.raises(LookupError, match="no"):
        run(main())


def test_an_end_of_iteration_is_told_as_the_error_that_it_is() -> None:
    async def main() -> None:
        async with RequestExecutor():
            await sync_to_async(next)(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration"):
        run(main())


def test_an_error_is_not_kept_by_the_thread_that_it_was_raised_in() -> None:
    class Lost(Exception):
        pass

    def fail() -> None:
        raise Lost

    async def main() -> weakref.ref[Lost]:
        kept = kept_threads.KeptThread()
        try:
            await kept.submit(fail)
        except Lost as error:
            return weakref.ref(error)
        finally:
            kept.end()
        raise AssertionError("It did not raise.")

    gc.disable()
    try:
        lost = run(main())
        assert eventually(lambda: lost() is None)
    finally:
        gc.enable()


def test_a_thread_ends_whose_event_loop_was_closed_while_it_was_at_work() -> None:
    go_on = threading.Event()

    async def main() -> kept_threads.KeptThread:
        kept = kept_threads.KeptThread()
        kept.submit(go_on.wait)
        return kept

    loop = asyncio.new_event_loop()
    kept = loop.run_until_complete(main())
    loop.close()
    go_on.set()
    kept.thread.join(5)
    assert not kept.thread.is_alive()


def test_all_threads_end_at_the_exit_those_at_work_when_they_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    async def main() -> list[kept_threads.KeptThread]:
        idle, busy = kept_threads.KeptThread(), kept_threads.KeptThread()
        busy.submit(lambda: done.wait(0.1) or done.set())
        return [idle, busy]

    monkeypatch.setattr(kept_threads, "_all", set())
    threads = run(main())
    kept_threads._end_all()
    assert done.is_set()
    assert not any(one.thread.is_alive() for one in threads)


def test_a_process_that_exits_lets_those_at_work_finish() -> None:
    code = """
import asyncio, time
from asgiref.sync import sync_to_async
from waldur_chat.api.executor import RequestExecutor

def work():
    time.sleep(0.3)
    print("finished", flush=True)

async def main():
    async with RequestExecutor():
        asyncio.ensure_future(sync_to_async(work)())
        await asyncio.sleep(0.1)

asyncio.new_event_loop().run_until_complete(main())
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert found.stdout == "finished\n"


def test_what_is_due_comes_before_what_is_asked_where_a_connection_is_open(connections: Connections) -> None:
    order: list[str] = []

    async def main() -> None:
        thread = kept_threads.rested()
        thread.prepare([lambda: order.append("needless")])
        await thread.submit(lambda: open_connection(connections))
        thread.prepare([lambda: order.append("due")])
        await thread.submit(lambda: order.append("asked"))
        thread.end()

    def open_connection(connections: Connections) -> None:
        connections.own.connection = object()

    run(main())
    assert order == ["due", "asked"]
